-- retrieval_documents: which documents were found how often
-- grain:  document, the most found first
-- source: otel_traces, the spans `retrieval documents`; kept as long as otel_traces are
-- units:  searches that found it, its passages in them, cosine similarity
SELECT
    h.hit.1 AS document_id,
    uniqExact(h.TraceId, h.SpanId) AS searches,
    count() AS passages,
    max(h.hit.2) AS best_score,
    avg(h.hit.2) AS mean_score
FROM
(
    SELECT
        s.TraceId,
        s.SpanId,
        arrayJoin(JSONExtract(s.documents, 'Array(Tuple(id String, score Float64))')) AS hit
    FROM
    (
        SELECT TraceId, SpanId, SpanAttributes['gen_ai.retrieval.documents'] AS documents
        FROM otel_traces
        WHERE
            Tenant = {tenant:String}
            AND SpanName = 'retrieval documents'
            AND SpanAttributes['gen_ai.data_source.id'] = 'documents'
            AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        LIMIT 1 BY TraceId, SpanId
    ) AS s
) AS h
GROUP BY document_id
ORDER BY searches DESC, passages DESC, document_id
LIMIT {limit:UInt64}
