-- document_names: what some documents are called
-- grain:  document
-- source: documents
SELECT document_id, name
FROM documents FINAL
WHERE tenant = {tenant:String} AND document_id IN {document_ids:Array(String)} AND deleted = 0
