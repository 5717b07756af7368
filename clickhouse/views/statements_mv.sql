-- statements_mv: every sealed statement that a log record tells of lands in statements.
CREATE MATERIALIZED VIEW IF NOT EXISTS statements_mv TO statements AS
SELECT
    Tenant AS tenant,
    LogAttributes['spanledger.statement.conversation_id'] AS conversation_id,
    toUInt32OrZero(LogAttributes['spanledger.statement.version']) AS version,
    LogAttributes['spanledger.statement.cause'] AS cause,
    fromUnixTimestamp64Nano(toInt64OrZero(LogAttributes['spanledger.statement.sealed_ns']), 'UTC') AS sealed_at,
    fromUnixTimestamp64Nano(toInt64OrZero(LogAttributes['spanledger.statement.first_ns']), 'UTC') AS first_at,
    fromUnixTimestamp64Nano(toInt64OrZero(LogAttributes['spanledger.statement.last_ns']), 'UTC') AS last_at,
    LogAttributes['spanledger.statement.user_id'] AS user_id,
    toInt64OrZero(LogAttributes['spanledger.statement.message_count']) AS message_count,
    JSONExtract(LogAttributes['spanledger.statement.models'], 'Array(LowCardinality(String))') AS models,
    toInt64OrZero(LogAttributes['spanledger.statement.llm_calls']) AS llm_calls,
    toInt64OrZero(LogAttributes['spanledger.statement.failed_calls']) AS failed_calls,
    toInt64OrZero(LogAttributes['spanledger.statement.input_tokens']) AS input_tokens,
    toInt64OrZero(LogAttributes['spanledger.statement.cache_read_input_tokens']) AS cache_read_input_tokens,
    toInt64OrZero(LogAttributes['spanledger.statement.cache_write_input_tokens']) AS cache_write_input_tokens,
    toInt64OrZero(LogAttributes['spanledger.statement.output_tokens']) AS output_tokens,
    toInt64OrZero(LogAttributes['spanledger.statement.reasoning_output_tokens']) AS reasoning_output_tokens,
    toDecimal128OrZero(LogAttributes['spanledger.statement.cost_usd'], 15) AS cost_usd,
    LogAttributes['spanledger.statement.cost_state'] AS cost_state,
    toFloat64OrZero(LogAttributes['spanledger.statement.priced_share']) AS priced_share,
    LogAttributes['spanledger.statement.difference'] AS difference,
    LogAttributes['spanledger.statement.analysis'] AS analysis,
    TraceId AS trace_id,
    lower(hex(SHA256(arrayStringConcat(arrayConcat([Tenant, TraceId], arrayMap(
        name -> LogAttributes[concat('spanledger.statement.', name)],
        ['conversation_id', 'version', 'cause', 'sealed_ns', 'first_ns', 'last_ns', 'user_id',
        'message_count', 'models', 'llm_calls', 'failed_calls', 'input_tokens',
        'cache_read_input_tokens', 'cache_write_input_tokens', 'output_tokens', 'reasoning_output_tokens',
        'cost_usd', 'cost_state', 'priced_share', 'difference', 'analysis'])), char(31))))) AS facts_digest,
    LogAttributes['spanledger.entry.seal'] AS seal,
    1 AS is_checked
FROM otel_logs
WHERE EventName = 'spanledger.statement' AND LogAttributes['spanledger.statement.conversation_id'] != ''
