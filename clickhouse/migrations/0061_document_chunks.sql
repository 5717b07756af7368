-- document_chunks: the passages of documents and their vectors; content, not a fact of the books.
-- grain:  one passage of one document
-- key:    (tenant, document_id, chunk)
-- source: retrieval/; a passage counts when `documents` has its document with the same revision
-- units:  tokens as we count them; vectors as the embedding model gives them, whatever their length
-- TTL:    none; deleting a document replaces its passages by empty ones, and forced merges take the old rows off the disk
-- No vector index: it would bind the table to one length of vector, and find too little for a small tenant among large ones.
CREATE TABLE IF NOT EXISTS document_chunks
(
    tenant LowCardinality(String),
    document_id String CODEC(ZSTD(1)),
    chunk UInt32 CODEC(ZSTD(1)),
    revision UInt64 CODEC(ZSTD(1)),
    text String CODEC(ZSTD(3)),
    tokens UInt32 CODEC(ZSTD(1)),
    embedding_model LowCardinality(String),
    vector Array(Float32) CODEC(NONE),                -- as good as random: it does not compress
    deleted UInt8
)
ENGINE = ReplacingMergeTree(revision, deleted)
ORDER BY (tenant, document_id, chunk)
SETTINGS index_granularity = 256, min_age_to_force_merge_seconds = 3600
