-- newest_statements: the newest version of the statements of some conversations
-- grain:  conversation with a version that is ours; of two that were sealed at once the first counts
-- source: statements
-- units:  times in ns since 1970 UTC; counts, tokens, USD
SELECT
    conversation_id,
    -- include parts/statement_columns
FROM statements
WHERE tenant = {tenant:String} AND conversation_id IN {conversation_ids:Array(String)}
    AND
    -- include parts/is_sealed
ORDER BY conversation_id, version DESC, sealed_at
LIMIT 1 BY conversation_id
