-- balance: every rollup against the level above it; all differences are zero when the books balance
-- grain:  level
-- source: ledger and its rollups
-- units:  calls, tokens, USD; difference = this level − the other
-- The rollups with a time are compared with the ledger for the hours that the window touches; those without one with
-- user_usage_1h, of all time. `spanledger audit` looks deeper: it computes the ledger itself again from the raw spans.
SELECT
    level,
    against,
    calls AS llm_calls,
    tokens AS total_tokens,
    cost AS cost_usd,
    calls - other_calls AS calls_difference,
    tokens - other_tokens AS tokens_difference,
    cost - other_cost AS cost_difference_usd,
    message_count - other_message_count AS messages_difference,
    calls_difference != 0 OR tokens_difference != 0 OR cost_difference_usd != 0 OR messages_difference != 0 AS imbalanced
FROM
(
    SELECT 'usage_1m' AS level, 'ledger' AS against, a.calls AS calls, a.tokens AS tokens, a.cost AS cost, a.message_count AS message_count,
        b.calls AS other_calls, b.tokens AS other_tokens, b.cost AS other_cost, b.message_count AS other_message_count
    FROM (SELECT sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM usage_1m WHERE tenant = {tenant:String} AND minute >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC')) AND minute < toStartOfHour(toDateTime({last_s:UInt32}, 'UTC')) + 3600) AS a
    CROSS JOIN (SELECT sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM ledger WHERE tenant = {tenant:String} AND started_at >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC')) AND started_at < toStartOfHour(toDateTime({last_s:UInt32}, 'UTC')) + 3600) AS b
    UNION ALL
    SELECT 'user_usage_1h' AS level, 'ledger' AS against, a.calls AS calls, a.tokens AS tokens, a.cost AS cost, a.message_count AS message_count,
        b.calls AS other_calls, b.tokens AS other_tokens, b.cost AS other_cost, b.message_count AS other_message_count
    FROM (SELECT sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM user_usage_1h WHERE tenant = {tenant:String} AND hour >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC')) AND hour < toStartOfHour(toDateTime({last_s:UInt32}, 'UTC')) + 3600) AS a
    CROSS JOIN (SELECT sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM ledger WHERE tenant = {tenant:String} AND started_at >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC')) AND started_at < toStartOfHour(toDateTime({last_s:UInt32}, 'UTC')) + 3600) AS b
    UNION ALL
    SELECT 'conversation_usage' AS level, 'user_usage_1h' AS against, a.calls AS calls, a.tokens AS tokens, a.cost AS cost, a.message_count AS message_count,
        b.calls AS other_calls, b.tokens AS other_tokens, b.cost AS other_cost, b.message_count AS other_message_count
    FROM (SELECT sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM conversation_usage WHERE tenant = {tenant:String}) AS a
    CROSS JOIN (SELECT sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM user_usage_1h WHERE tenant = {tenant:String}) AS b
    UNION ALL
    SELECT 'message_usage' AS level, 'user_usage_1h' AS against, a.calls AS calls, a.tokens AS tokens, a.cost AS cost, a.message_count AS message_count,
        b.calls AS other_calls, b.tokens AS other_tokens, b.cost AS other_cost, b.message_count AS other_message_count
    FROM (SELECT sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM message_usage WHERE tenant = {tenant:String}) AS a
    CROSS JOIN (SELECT sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM user_usage_1h WHERE tenant = {tenant:String}) AS b
)
ORDER BY level
