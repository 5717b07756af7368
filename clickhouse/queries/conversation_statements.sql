-- conversation_statements: all versions of a conversation's statement, newest first
-- grain:  version that is ours; of two that were sealed at once the first counts
-- source: statements
-- units:  times in ns since 1970 UTC; counts, tokens, USD
SELECT
    -- include parts/statement_columns
FROM statements
WHERE tenant = {tenant:String} AND conversation_id = {conversation_id:String}
    AND
    -- include parts/is_sealed
ORDER BY version DESC, sealed_at
LIMIT 1 BY version
LIMIT {limit:UInt64}
