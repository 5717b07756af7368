-- users_page: so many of the users in an order, with what they used in a window, each beside what all of them used
-- grain:  user
-- source: user_usage_1d for whole days, user_usage_1h, calls_by_time and message_list for the rest
-- units:  calls, tokens, USD; last_s since 1970 UTC: the start of the last day or hour with whole figures, or of the last call
-- by: cost, tokens, calls or name; sign −1: descending; those behind (after_value, after_name) where has_after is 1
SELECT *
FROM
(
    SELECT
        *,
        count() OVER () AS all_users,
        sum(w.llm_calls) OVER () AS all_llm_calls,
        sum(w.failed_calls) OVER () AS all_failed_calls,
        sum(w.input_tokens) OVER () AS all_input_tokens,
        sum(w.cache_read_input_tokens) OVER () AS all_cache_read_input_tokens,
        sum(w.cache_write_input_tokens) OVER () AS all_cache_write_input_tokens,
        sum(w.output_tokens) OVER () AS all_output_tokens,
        sum(w.reasoning_output_tokens) OVER () AS all_reasoning_output_tokens,
        sum(w.cost_usd) OVER () AS all_cost_usd,
        sum(w.billed_calls) OVER () AS all_billed_calls,
        sum(w.computed_calls) OVER () AS all_computed_calls,
        sum(w.estimated_calls) OVER () AS all_estimated_calls,
        sum(w.unpriced_calls) OVER () AS all_unpriced_calls,
        {sign:Int8} * multiIf(
            {by:String} = 'cost', w.cost_usd,
            {by:String} = 'tokens', toDecimal128(w.input_tokens + w.output_tokens, 15),
            {by:String} = 'calls', toDecimal128(w.llm_calls, 15),
            toDecimal128(0, 15)) AS value
    FROM
    (
        -- include parts/users_in_window
    ) AS w
)
WHERE {has_after:UInt8} = 0 OR value > {after_value:Decimal(38, 15)}
    OR (value = {after_value:Decimal(38, 15)} AND user_id > {after_name:String})
ORDER BY value, user_id
LIMIT {limit:UInt32}
