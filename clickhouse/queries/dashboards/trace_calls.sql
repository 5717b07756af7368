-- trace_calls: the spans of one trace with their entries in the books
-- grain:  span, in time order
-- source: genai_spans, ledger
-- units:  UTC; seconds, tokens, USD; NULL where the span stands for no call
SELECT
    s.started_at AS started_at,
    s.span_name AS span_name,
    s.role AS role,
    s.provider AS provider,
    if(s.response_model = '', s.request_model, s.response_model) AS model,
    s.tool AS tool,
    s.status AS status,
    s.error_type AS error_type,
    s.duration_ns / 1e9 AS duration_s,
    if(b.span_id = '', NULL, b.input_tokens) AS input_tokens,
    if(b.span_id = '', NULL, b.output_tokens) AS output_tokens,
    if(b.span_id = '', NULL, b.cost_usd) AS cost_usd,
    b.cost_state AS cost_state,
    s.span_id AS span_id
FROM (SELECT * FROM genai_spans FINAL WHERE tenant = {tenant:String} AND trace_id = {trace_id:String}) AS s
LEFT JOIN
(
    SELECT
        l.span_id AS span_id,
        sum(l.input_tokens) AS input_tokens,
        sum(l.output_tokens) AS output_tokens,
        sum(l.cost_usd) AS cost_usd,
        argMaxIf(l.cost_state, l.posted_at, l.llm_calls > 0) AS cost_state
    FROM ledger AS l
    WHERE l.tenant = {tenant:String} AND l.trace_id = {trace_id:String} AND l.kind = 'call'
    GROUP BY span_id
) AS b ON b.span_id = s.span_id
ORDER BY started_at, s.duration_ns DESC, span_id
