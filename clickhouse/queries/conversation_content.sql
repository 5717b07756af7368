-- conversation_content: the texts of a conversation, if its spans carry content
-- grain:  span with content, in time order
-- source: otel_traces, through the traces of the conversation's messages
-- units:  at_ns since 1970 UTC
-- trace_ids, span_ids: those of conversation_content_sizes that an answer has room for; a span that came twice stands
--         here once
    -- include parts/place_of_traces
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    toUnixTimestamp64Nano(Timestamp) AS at_ns,
    SpanAttributes['gen_ai.input.messages'] AS input_messages,
    SpanAttributes['gen_ai.output.messages'] AS output_messages
FROM otel_traces
WHERE
    -- include parts/in_place
    AND SpanId IN {span_ids:Array(String)}
    AND (input_messages != '' OR output_messages != '')
ORDER BY Timestamp, SpanId
LIMIT 1 BY TraceId, SpanId
