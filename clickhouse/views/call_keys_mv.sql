-- call_keys_mv: the keys of every span that may be a copy of a call told elsewhere.
-- What surely is the same counts once a trace, whoever says it and when.
CREATE MATERIALIZED VIEW IF NOT EXISTS call_keys_mv TO call_keys AS
SELECT DISTINCT
    s.tenant AS tenant,
    k.1 AS key,
    s.trace_id AS trace_id,
    if(k.2 = 1, '', s.span_id) AS span_id,
    k.2 AS surely,
    if(k.2 = 1, '', s.scope) AS scope,
    if(k.2 = 1, toDateTime64(0, 9, 'UTC'), s.started_at) AS started_at,
    if(k.2 = 1, toDateTime64(0, 9, 'UTC'),
        fromUnixTimestamp64Nano(toUnixTimestamp64Nano(s.started_at) + s.duration_ns, 'UTC')) AS ended_at
FROM genai_spans AS s
ARRAY JOIN arrayConcat(arrayMap(x -> (x, toUInt8(1)), s.same_keys), arrayMap(x -> (x, toUInt8(0)), s.like_keys)) AS k
