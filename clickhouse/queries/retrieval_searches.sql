-- retrieval_searches: how often documents were searched, and what came of it
-- grain:  one row
-- source: otel_traces, the spans `retrieval documents`; kept as long as otel_traces are
-- units:  searches, passages, ns
SELECT
    count() AS searches,
    countIf(s.StatusCode = 'Error') AS failed,
    countIf(s.StatusCode != 'Error' AND s.hits = 0) AS without_hits,
    sum(s.hits) AS hits,
    quantilesExact(0.5, 0.95, 0.99)(s.Duration) AS latency_ns
FROM
(
    SELECT StatusCode, Duration, toUInt64OrZero(SpanAttributes['spanledger.document.hits']) AS hits
    FROM otel_traces
    WHERE
        Tenant = {tenant:String}
        AND SpanName = 'retrieval documents'
        AND SpanAttributes['gen_ai.data_source.id'] = 'documents'
        AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    LIMIT 1 BY TraceId, SpanId
) AS s
