-- evaluations: all evaluations of a message or a trace, newest first
-- grain:  evaluation result; superseded: there is a newer one of the same evaluator (and person)
-- source: evaluations
-- sealed: 1 if it was taken here; what a sender claims supersedes none of ours
-- units:  at_ns since 1970 UTC; an empty message finds by trace
SELECT
    message_id,
    trace_id,
    name,
    evaluator,
    user_id,
    score,
    label,
    explanation,
    tags,
    error_type,
    evaluation_trace_id,
    toUnixTimestamp64Nano(evaluated_at) AS at_ns,
    sealed,
    row_number() OVER (PARTITION BY message_id, name, evaluator, user_id, sealed ORDER BY evaluated_at DESC, digest DESC) > 1 AS superseded
FROM
(
    SELECT
        *,
        -- include parts/is_sealed
        AS sealed
    FROM evaluations FINAL
)
WHERE
    tenant = {tenant:String}
    AND message_id = {message_id:String}
    AND (message_id != '' OR trace_id = {trace_id:String})
ORDER BY evaluated_at DESC, digest DESC
LIMIT {limit:UInt64}
