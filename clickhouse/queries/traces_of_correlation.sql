-- traces_of_correlation: the traces that carry a correlation id
-- grain:  trace
-- source: genai_spans and messages
SELECT DISTINCT trace_id
FROM
(
    SELECT trace_id FROM genai_spans WHERE tenant = {tenant:String} AND correlation_id = {correlation_id:String}
    UNION ALL
    SELECT trace_id FROM messages WHERE tenant = {tenant:String} AND correlation_id = {correlation_id:String}
)
WHERE trace_id != ''
ORDER BY trace_id
LIMIT {limit:UInt64}
