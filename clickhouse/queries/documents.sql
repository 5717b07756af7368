-- documents: the documents of a tenant, newest first
-- grain:  document
-- source: documents
-- units:  created_us since 1970 UTC; before_us, before_id: where the page before ended
-- An empty document_id or sha256 does not filter.
SELECT
    document_id,
    revision,
    name,
    content_type,
    sha256,
    bytes,
    tokens,
    chunks,
    embedding_model,
    metadata,
    user_id,
    key_id,
    toUnixTimestamp64Micro(created_at) AS created_us
FROM documents FINAL
WHERE
    tenant = {tenant:String}
    AND deleted = 0
    AND ({document_id:String} = '' OR document_id = {document_id:String})
    AND (toUnixTimestamp64Micro(created_at), document_id) < ({before_us:Int64}, {before_id:String})
ORDER BY created_us DESC, document_id DESC
LIMIT {limit:UInt64}
