-- genai_spans: the indexes of migration 0180 over the spans that were there before; made in the background.
-- grain:  as genai_spans
-- key:    as genai_spans
-- source: genai_spans
-- units:  none
-- TTL:    as genai_spans
ALTER TABLE genai_spans
    MATERIALIZE INDEX idx_span_id,
    MATERIALIZE INDEX idx_conversation_id,
    MATERIALIZE INDEX idx_message_id,
    MATERIALIZE INDEX idx_user_id,
    MATERIALIZE INDEX idx_response_id
