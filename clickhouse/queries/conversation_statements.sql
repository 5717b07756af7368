-- conversation_statements: all versions of a conversation's statement, newest first
-- grain:  version that is ours; of two that were sealed at once the first counts
-- source: statements
-- units:  times in ns since 1970 UTC; counts, tokens, USD
SELECT
    version,
    cause,
    toUnixTimestamp64Nano(sealed_at) AS sealed_ns,
    toUnixTimestamp64Nano(first_at) AS first_ns,
    toUnixTimestamp64Nano(last_at) AS last_ns,
    user_id,
    message_count,
    models,
    llm_calls,
    failed_calls,
    input_tokens,
    cache_read_input_tokens,
    cache_write_input_tokens,
    output_tokens,
    reasoning_output_tokens,
    cost_usd,
    cost_state,
    priced_share,
    difference,
    analysis,
    trace_id
FROM statements
WHERE tenant = {tenant:String} AND conversation_id = {conversation_id:String}
    AND
    -- include parts/is_sealed
ORDER BY version DESC, sealed_at
LIMIT 1 BY version
LIMIT {limit:UInt64}
