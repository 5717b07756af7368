-- documents: what was uploaded, without its text; content, not a fact of the books (docs/decisions/0008-documents-are-content.md).
-- grain:  one document; an upload of the same content under the same embedding model changes nothing
-- key:    (tenant, document_id); document_id follows from tenant and content
-- source: retrieval/, which writes a document after its passages, so that one is seen whole or not at all
-- units:  bytes in UTF-8, tokens as we count them, times UTC
-- TTL:    none; a deleted one leaves a row with deleted = 1 and nothing of what it said
CREATE TABLE IF NOT EXISTS documents
(
    tenant LowCardinality(String),
    document_id String CODEC(ZSTD(1)),
    revision UInt64 CODEC(ZSTD(1)),                   -- which passages belong to it: those with the same
    name String CODEC(ZSTD(1)),
    content_type LowCardinality(String),
    sha256 String CODEC(ZSTD(1)),
    bytes UInt64 CODEC(ZSTD(1)),
    tokens UInt64 CODEC(ZSTD(1)),
    chunks UInt32 CODEC(ZSTD(1)),
    embedding_model LowCardinality(String),
    metadata Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    key_id String CODEC(ZSTD(1)),
    created_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    deleted UInt8
)
ENGINE = ReplacingMergeTree(revision, deleted)
ORDER BY (tenant, document_id)
SETTINGS index_granularity = 1024, min_age_to_force_merge_seconds = 3600
