-- genai_spans: indexes over what spans are asked by beside their trace.
-- grain:  as genai_spans
-- key:    as genai_spans
-- source: as genai_spans
-- units:  none
-- TTL:    as genai_spans
-- Most spans say none of these ids, so the indexes of ids that few spans say are small; that of span ids has 1.2 bytes a span.
ALTER TABLE genai_spans
    ADD INDEX IF NOT EXISTS idx_span_id span_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS idx_conversation_id conversation_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS idx_message_id message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS idx_user_id user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS idx_response_id response_id TYPE bloom_filter(0.01) GRANULARITY 1
