-- call_keys_mv: the keys of every span that may report the same call as another span.
-- A key that identifies a call for certain is stored once a trace.
CREATE MATERIALIZED VIEW IF NOT EXISTS call_keys_mv TO call_keys AS
WITH
    toUInt32(bitAnd(cityHash64(s.trace_id), 0xffffffff)) AS this,
    toUInt64(greatest(toUnixTimestamp64Milli(s.started_at), 60000)) AS at_ms,
    toUInt32(least(intDiv(s.duration_ns, 1000000) + 2, 0xffffffff)) AS lasted_ms
SELECT DISTINCT s.tenant AS tenant, k.1 AS key, k.2 AS trace, k.3 AS trace_id, k.4 AS scope, k.5 AS start_ms, k.6 AS duration_ms
FROM genai_spans AS s
ARRAY JOIN arrayConcat(
    arrayMap(key -> (key, this, '', '', toUInt16(0), toUInt32(0)), s.same_keys),
    if(s.likeness = 0, [], [(bitOr(bitShiftLeft(intDiv(at_ms, 60000), 36), s.likeness), this, '', s.scope::String, toUInt16(at_ms % 60000), lasted_ms)]),
    if(s.likeness = 0 AND empty(s.same_keys), [], [(bitOr(bitShiftLeft(toUInt64(3), 62), toUInt64(this)), this, s.trace_id, '', toUInt16(0), toUInt32(0))])
) AS k
