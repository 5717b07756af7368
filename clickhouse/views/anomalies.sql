-- anomalies: everything odd that came in, and what became of it. No figure that stands here moved a total: a count that
-- cannot be is unknown, and a call with unknown usage or price is unpriced.
-- grain:  one anomaly of a span
-- key:    (tenant, trace_id, span_id, field, kind)
-- source: genai_spans.anomalies (a span by itself), trace_anomalies (beside others, or without a price)
-- units:  times UTC in ns
-- TTL:    none
CREATE VIEW IF NOT EXISTS anomalies AS
SELECT tenant, trace_id, span_id, started_at, service, dialect, field, kind, reason
FROM trace_anomalies FINAL
WHERE deleted = 0
UNION ALL
WITH
    splitByChar(':', anomaly)[1] AS word,
    if(word = 'clock', replaceOne(anomaly, ':', '_'), word) AS anomaly_kind
SELECT
    tenant, trace_id, span_id, started_at, service, dialect,
    if(word = 'clock', 'started_at', substring(anomaly, length(word) + 2)) AS field,
    anomaly_kind AS kind,
    transform(anomaly_kind,
        ['negative', 'fractional', 'huge', 'text', 'nan', 'currency', 'zero', 'inferred', 'aborted', 'contradiction', 'long',
            'clock_future', 'clock_past', 'empty', 'unreadable', 'found_by'],
        ['below zero; counted as unknown', 'not a whole number; counted as unknown', 'larger than can be; counted as unknown',
            'not a number; counted as unknown', 'not a finite number; counted as unknown', 'not in USD; not used',
            'a call takes more than nothing; counted as unknown', 'worked out from the stated total',
            'the answer was cut off while it was counted; counted as unknown',
            'figures contradict each other; a part counts as unknown, a total is not believed',
            'longer than 256 characters; cut, with a hash at its end', 'more than a day after it was received',
            'more than a year before it was received', 'the span has none',
            'nobody foresaw this span; only its ids and times are in the books',
            'no table names the place of its usage; an object in the shape of usage was taken'],
        'see docs/dialects.md') AS reason
FROM genai_spans FINAL
ARRAY JOIN anomalies AS anomaly
WHERE (tenant, trace_id, span_id) IN (SELECT tenant, trace_id, span_id FROM genai_spans WHERE notEmpty(anomalies))
