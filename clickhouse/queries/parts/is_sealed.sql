-- is_sealed: a condition on rows of statements and evaluations: this installation wrote it; senders may write logs too
-- grain:  row
-- source: statements, evaluations
-- units:  1 or 0. telemetry/seal.py computes the same; seal_secret is bound by the store
(is_checked = 0 OR ({seal_secret:String} != '' AND seal = lower(hex(SHA256(arrayStringConcat(
    [{seal_secret:String}, facts_digest, {seal_secret:String}], char(31)))))))
