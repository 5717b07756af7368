-- behaviour_errors: errors that are alike: type, what failed, provider, model, and the message without what varies in it
-- grain:  cluster; the commonest first
-- source: genai_spans for the canonical names, otel_traces for the message
-- units:  counts; first_ns, newest_ns since 1970 UTC
-- trace_ids: those of the newest failed spans (failed_traces); newest: how many failed spans are looked at.
-- Of a chain of spans that failed together only the innermost counts.
-- Ids, numbers and quoted words are left out of the pattern.
SELECT
    f.span.4 AS error_type,
    f.span.5 AS failed_in,
    f.span.6 AS provider,
    f.span.7 AS model,
    replaceRegexpAll(
        replaceRegexpAll(substringUTF8(s.message, 1, 300), '''[^'']*''|"[^"]*"|`[^`]*`', '<text>'),
        '[0-9a-fA-F]{8,}(-[0-9a-fA-F]{4,})*|[0-9]+([.:][0-9]+)*', '<n>') AS pattern,
    count() AS errors,
    uniqExactIf(f.span.8, f.span.8 != '') AS conversations,
    uniqExactIf(f.span.9, f.span.9 != '') AS users,
    min(f.span.3) AS first_ns,
    max(f.span.3) AS newest_ns,
    argMax(f.trace_id, f.span.3) AS example_trace_id,
    argMax(s.message, f.span.3) AS example_message
FROM
(
    SELECT trace_id, arrayJoin(arrayFilter(one -> NOT has(parents, one.1), spans)) AS span, span.1 AS span_id
    FROM
    (
        SELECT
            trace_id,
            groupArray((span_id, parent_id, at_ns, kind, what, of_provider, of_model, conversation, user)) AS spans,
            groupUniqArray(parent_id) AS parents
        FROM
        (
            SELECT
                trace_id,
                span_id,
                any(parent_span_id) AS parent_id,
                max(toUnixTimestamp64Nano(started_at)) AS at_ns,
                any(error_type) AS kind,
                any(if(role = 'tool', tool, if(operation = '', span_name, operation))) AS what,
                any(provider) AS of_provider,
                any(if(response_model = '', request_model, response_model)) AS of_model,
                any(conversation_id) AS conversation,
                any(user_id) AS user
            FROM
            (
                SELECT *
                FROM genai_spans
                WHERE
                    tenant = {tenant:String}
                    AND trace_id IN {trace_ids:Array(String)}
                    AND status = 'error'
                    AND normalised = 1
                    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
                    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
                ORDER BY started_at DESC
                LIMIT {newest:UInt64}
            )
            GROUP BY trace_id, span_id
        )
        GROUP BY trace_id
    )
) AS f
LEFT ANY JOIN
(
    SELECT TraceId, SpanId, StatusMessage AS message
    FROM otel_traces
    WHERE
        Tenant = {tenant:String}
        AND StatusMessage != ''
        AND TraceId IN {trace_ids:Array(String)}
        AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
) AS s ON s.TraceId = f.trace_id AND s.SpanId = f.span_id
GROUP BY error_type, failed_in, provider, model, pattern
ORDER BY errors DESC, newest_ns DESC
LIMIT {limit:UInt64}
