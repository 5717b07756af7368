-- find_traces: the traces that an id leads to: correlation, trace, message or conversation id
-- grain:  trace, newest first
-- source: messages, genai_spans
-- units:  UTC; seconds
WITH found AS
(
    SELECT trace_id FROM messages
    WHERE tenant = {tenant:String} AND (correlation_id = {id:String} OR trace_id = {id:String} OR message_id = {id:String} OR conversation_id = {id:String})
    UNION DISTINCT
    SELECT trace_id FROM genai_spans WHERE tenant = {tenant:String} AND correlation_id = {id:String}
    UNION DISTINCT
    SELECT trace_id FROM genai_spans WHERE tenant = {tenant:String} AND trace_id = {id:String}
)
SELECT
    min(s.started_at) AS started_at,
    s.trace_id AS trace_id,
    any(s.service) AS service,
    argMin(s.span_name, s.started_at) AS root,
    anyIf(s.correlation_id, s.correlation_id != '') AS correlation_id,
    anyIf(s.message_id, s.message_id != '') AS message_id,
    anyIf(s.conversation_id, s.conversation_id != '') AS conversation_id,
    anyIf(s.user_id, s.user_id != '') AS user_id,
    uniqExact(s.span_id) AS spans,
    uniqExactIf(s.span_id, s.status = 'error') AS failed_spans,
    (max(toUnixTimestamp64Nano(s.started_at) + s.duration_ns) - min(toUnixTimestamp64Nano(s.started_at))) / 1e9 AS duration_s
FROM genai_spans AS s
WHERE s.tenant = {tenant:String} AND s.trace_id IN (SELECT trace_id FROM found WHERE trace_id != '')
GROUP BY trace_id
ORDER BY started_at DESC, trace_id
LIMIT {limit:UInt64}
