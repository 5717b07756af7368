-- compliance: who did what to which data in a window, and what came of it
-- grain:  event, actor, action, target, outcome; most frequent first
-- source: otel_logs
-- units:  count of happenings; first_ns, last_ns since 1970 UTC
-- sealed: 1 if this installation wrote it (parts/audit_entries)
SELECT
    event,
    actor,
    action,
    target,
    outcome,
    sealed,
    sum(count) AS happened,
    min(at_ns) AS first_ns,
    max(at_ns) AS last_ns
FROM
(
    -- include parts/audit_entries
)
GROUP BY event, actor, action, target, outcome, sealed
ORDER BY happened DESC, event, actor, action, target, outcome
LIMIT {limit:UInt64}
