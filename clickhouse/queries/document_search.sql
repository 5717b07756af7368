-- document_search: the passages of a tenant's documents that are nearest to a vector, best first
-- grain:  passage
-- source: document_chunks of the revisions that documents has
-- units:  score: cosine similarity, at most 1
-- Exact: every passage of the tenant is compared. Only vectors of the same embedding model and length are, which must be
-- sorted out before (PREWHERE): lengths that differ are an error.
-- An empty document_ids does not filter.
SELECT document_id, chunk, text, 1 - cosineDistance(vector, {vector:Array(Float32)}) AS score
FROM document_chunks
PREWHERE
    tenant = {tenant:String}
    AND deleted = 0
    AND embedding_model = {embedding_model:String}
    AND length(vector) = length({vector:Array(Float32)})
WHERE
    (document_id, revision) IN (
        SELECT document_id, revision
        FROM documents FINAL
        WHERE
            tenant = {tenant:String}
            AND deleted = 0
            AND (empty({document_ids:Array(String)}) OR has({document_ids:Array(String)}, document_id))
    )
    AND isFinite(score)
    AND score >= {min_score:Float64}
ORDER BY score DESC, document_id, chunk
LIMIT 1 BY document_id, chunk
LIMIT {limit:UInt64}
