-- genai_spans: what finds the copies of a call in other traces, for two more kinds of calls.
-- grain:  as genai_spans
-- key:    as genai_spans
-- source: computed when read; view call_keys_mv writes them down
-- units:  hashes
-- TTL:    as genai_spans
-- same_keys: a stream of Logfire and the span of no length that reports its result stand in traces of their own; they share the
-- minute in which the request ended, or the one before the result.
-- likeness: embeddings have no response id and may be told by two services, so theirs leaves the service out.
ALTER TABLE genai_spans
    MODIFY COLUMN same_keys Array(UInt64) ALIAS arrayMap(k -> bitOr(bitShiftLeft(toUInt64(1), 63), bitShiftRight(k, 24)), arrayConcat(
        if(response_id != '' AND (role IN ('inference', 'embedding', 'rerank') OR parent_span_id = '' OR input_tokens IS NOT NULL),
            [cityHash64('response', response_id)], []),
        if(message_id = '', [], [cityHash64('message', message_id)]),
        if(NOT startsWith(scope, 'logfire') OR role != 'inference' OR status = 'error', [],
            if(duration_ns = 0, arrayMap(away -> cityHash64('stream', service, scope, request_model,
                    intDiv(toUnixTimestamp64Second(started_at), 60) - away), [0, 1]),
                if(input_tokens IS NULL AND output_tokens IS NULL AND response_id = '' AND finish_reason = '',
                    [cityHash64('stream', service, scope, request_model,
                        intDiv(toUnixTimestamp64Second(started_at) + intDiv(duration_ns, 1000000000), 60))], []))))),
    MODIFY COLUMN likeness UInt64 ALIAS bitShiftRight(multiIf(
        role IN ('embedding', 'rerank') AND input_tokens IS NOT NULL, cityHash64('embedding', input_tokens),
        input_tokens IS NOT NULL OR output_tokens IS NOT NULL,
            cityHash64(service, ifNull(input_tokens, 0), ifNull(output_tokens, 0)),
        role IN ('inference', 'embedding', 'rerank') AND conversation_id != '', cityHash64(service, conversation_id),
        toUInt64(0)), 28)
