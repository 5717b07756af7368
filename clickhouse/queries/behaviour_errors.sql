-- behaviour_errors: errors that are alike: type, what failed, provider, model, and the message without what varies in it
-- grain:  cluster; the commonest first
-- source: genai_spans for the canonical names, otel_traces for the message
-- units:  counts; first_ns, newest_ns since 1970 UTC
-- Of a chain of spans that failed together only the innermost counts. Ids, numbers and quoted words are left out of the pattern.
WITH
    failed AS
    (
        SELECT
            trace_id,
            span_id,
            any(parent_span_id) AS parent_id,
            max(toUnixTimestamp64Nano(started_at)) AS at_ns,
            argMax(error_type, version) AS kind,
            argMax(if(response_model = '', request_model, response_model), version) AS of_model,
            argMax(provider, version) AS of_provider,
            argMax(if(role = 'tool', tool, if(operation = '', toString(span_name), toString(operation))), version) AS what,
            argMax(conversation_id, version) AS conversation,
            argMax(user_id, version) AS user
        FROM genai_spans
        WHERE
            tenant = {tenant:String}
            AND status = 'error'
            AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        GROUP BY trace_id, span_id
        ORDER BY at_ns DESC
        LIMIT {newest:UInt64}
    ),
    said AS
    (
        SELECT TraceId, SpanId, any(StatusMessage) AS message
        FROM otel_traces
        WHERE
            Tenant = {tenant:String}
            AND StatusMessage != ''
            AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
            AND (TraceId, SpanId) IN (SELECT trace_id, span_id FROM failed)
        GROUP BY TraceId, SpanId
    )
SELECT
    f.kind AS error_type,
    f.what AS failed_in,
    f.of_provider AS provider,
    f.of_model AS model,
    replaceRegexpAll(
        replaceRegexpAll(substring(s.message, 1, 300), '''[^'']*''|"[^"]*"|`[^`]*`', '<text>'),
        '[0-9a-fA-F]{8,}(-[0-9a-fA-F]{4,})*|[0-9]+([.:][0-9]+)*', '<n>') AS pattern,
    count() AS errors,
    uniqExactIf(f.conversation, f.conversation != '') AS conversations,
    uniqExactIf(f.user, f.user != '') AS users,
    min(f.at_ns) AS first_ns,
    max(f.at_ns) AS newest_ns,
    argMax(f.trace_id, f.at_ns) AS example_trace_id,
    argMax(s.message, f.at_ns) AS example_message
FROM failed AS f
LEFT JOIN said AS s ON s.TraceId = f.trace_id AND s.SpanId = f.span_id
WHERE (f.trace_id, f.span_id) NOT IN (SELECT trace_id, parent_id FROM failed)
GROUP BY error_type, failed_in, provider, model, pattern
ORDER BY errors DESC, newest_ns DESC
LIMIT {limit:UInt64}
