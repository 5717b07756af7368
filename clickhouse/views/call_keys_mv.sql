-- call_keys_mv: the keys of every span that may be a copy of a call told elsewhere.
CREATE MATERIALIZED VIEW IF NOT EXISTS call_keys_mv TO call_keys AS
SELECT
    tenant,
    k.1 AS key,
    trace_id,
    span_id,
    k.2 AS surely,
    scope,
    started_at,
    fromUnixTimestamp64Nano(toUnixTimestamp64Nano(started_at) + duration_ns, 'UTC') AS ended_at
FROM genai_spans
ARRAY JOIN arrayConcat(arrayMap(x -> (x, toUInt8(1)), same_keys), arrayMap(x -> (x, toUInt8(0)), like_keys)) AS k
