-- genai_spans.same_keys: every span that names its message leads to the other traces of that message, not only roots:
-- a request whose caller is traced elsewhere has no root here.
ALTER TABLE genai_spans MODIFY COLUMN same_keys Array(UInt64) MATERIALIZED arrayConcat(
    if(response_id != '' AND (role IN ('inference', 'embedding', 'rerank') OR parent_span_id = '' OR input_tokens IS NOT NULL),
        [cityHash64('response', response_id)], []),
    if(message_id = '', [], [cityHash64('message', message_id)]))
