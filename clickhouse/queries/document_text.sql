-- document_text: the passages of one document in their order
-- grain:  passage
-- source: document_chunks of the document's revision
-- units:  tokens
SELECT chunk, text, tokens
FROM document_chunks
WHERE tenant = {tenant:String} AND document_id = {document_id:String} AND revision = {revision:UInt64} AND deleted = 0
ORDER BY chunk
LIMIT 1 BY chunk
LIMIT {limit:UInt64}
