-- span_canonical: one span in canonical names
-- grain:  one row
-- source: genai_spans
-- units:  started_ns since 1970 UTC, duration in ns, tokens, USD; NULL: the span did not say
SELECT
    *,
    toUnixTimestamp64Nano(started_at) AS started_ns
FROM genai_spans FINAL
WHERE tenant = {tenant:String} AND trace_id = {trace_id:String} AND span_id = {span_id:String}
