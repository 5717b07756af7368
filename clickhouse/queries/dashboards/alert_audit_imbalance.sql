-- alert_audit_imbalance: rollups whose totals are not those of the level above them
-- grain:  tenant and rollup
-- source: ledger and its rollups
-- units:  1 = it differs, 0 = it balances
-- The rollups with a time are compared with the ledger for the hours that the window touches; those without one with
-- user_usage_1h, of all time. `spanledger audit` looks deeper: it computes the ledger itself again from the raw spans.
SELECT
    tenant,
    level,
    toUInt8((calls, tokens, cost, message_count) != (other_calls, other_tokens, other_cost, other_message_count)) AS imbalanced
FROM
(
    SELECT a.tenant AS tenant, 'usage_1m' AS level, 'ledger' AS against, a.calls AS calls, a.tokens AS tokens, a.cost AS cost, a.message_count AS message_count,
        b.calls AS other_calls, b.tokens AS other_tokens, b.cost AS other_cost, b.message_count AS other_message_count
    FROM (SELECT tenant, sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM usage_1m WHERE minute >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC')) AND minute < toStartOfHour(toDateTime({last_s:UInt32}, 'UTC')) + 3600 GROUP BY tenant) AS a
    LEFT JOIN (SELECT tenant, sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM ledger WHERE started_at >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC')) AND started_at < toStartOfHour(toDateTime({last_s:UInt32}, 'UTC')) + 3600 GROUP BY tenant) AS b ON b.tenant = a.tenant
    UNION ALL
    SELECT a.tenant AS tenant, 'user_usage_1h' AS level, 'ledger' AS against, a.calls AS calls, a.tokens AS tokens, a.cost AS cost, a.message_count AS message_count,
        b.calls AS other_calls, b.tokens AS other_tokens, b.cost AS other_cost, b.message_count AS other_message_count
    FROM (SELECT tenant, sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM user_usage_1h WHERE hour >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC')) AND hour < toStartOfHour(toDateTime({last_s:UInt32}, 'UTC')) + 3600 GROUP BY tenant) AS a
    LEFT JOIN (SELECT tenant, sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM ledger WHERE started_at >= toStartOfHour(toDateTime({first_s:UInt32}, 'UTC')) AND started_at < toStartOfHour(toDateTime({last_s:UInt32}, 'UTC')) + 3600 GROUP BY tenant) AS b ON b.tenant = a.tenant
    UNION ALL
    SELECT a.tenant AS tenant, 'conversation_usage' AS level, 'user_usage_1h' AS against, a.calls AS calls, a.tokens AS tokens, a.cost AS cost, a.message_count AS message_count,
        b.calls AS other_calls, b.tokens AS other_tokens, b.cost AS other_cost, b.message_count AS other_message_count
    FROM (SELECT tenant, sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM conversation_usage GROUP BY tenant) AS a
    LEFT JOIN (SELECT tenant, sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM user_usage_1h GROUP BY tenant) AS b ON b.tenant = a.tenant
    UNION ALL
    SELECT a.tenant AS tenant, 'message_usage' AS level, 'user_usage_1h' AS against, a.calls AS calls, a.tokens AS tokens, a.cost AS cost, a.message_count AS message_count,
        b.calls AS other_calls, b.tokens AS other_tokens, b.cost AS other_cost, b.message_count AS other_message_count
    FROM (SELECT tenant, sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM message_usage GROUP BY tenant) AS a
    LEFT JOIN (SELECT tenant, sum(llm_calls) AS calls, sum(input_tokens) + sum(output_tokens) AS tokens, sum(cost_usd) AS cost, sum(messages) AS message_count FROM user_usage_1h GROUP BY tenant) AS b ON b.tenant = a.tenant
)
ORDER BY tenant, level
