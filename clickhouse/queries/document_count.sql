-- document_count: how many documents a tenant has
-- grain:  tenant
-- source: documents
SELECT count() AS documents
FROM documents FINAL
WHERE
    tenant = {tenant:String}
    AND deleted = 0
