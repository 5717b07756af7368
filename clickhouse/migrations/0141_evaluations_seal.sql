-- evaluations, three more columns: whether this installation took the evaluation, or a sender claims it.
-- grain:  as evaluations
-- key:    (tenant, message_id, trace_id, name, evaluator, evaluated_at, digest, facts_digest, seal)
-- source: views evaluations_of_logs_mv and evaluations_of_spans_mv
-- units:  digests as lower-case hexadecimal text
-- TTL:    as evaluations
-- is_checked 0: from before there were seals, counts as true. Else queries/parts/is_sealed.sql decides.
ALTER TABLE evaluations
    ADD COLUMN IF NOT EXISTS facts_digest String,          -- SHA-256 of what the seal covers, hexadecimal
    ADD COLUMN IF NOT EXISTS seal String,                  -- of our own installation; empty: none
    ADD COLUMN IF NOT EXISTS is_checked UInt8,             -- 0: from before there were seals
    MODIFY ORDER BY (tenant, message_id, trace_id, name, evaluator, evaluated_at, digest, facts_digest, seal)
