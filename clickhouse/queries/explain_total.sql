-- explain_total: the figure itself, and the entries behind it
-- grain:  one row
-- source: sums: book, which is the ledger for known traces, else calls_by_time (its calls in the order of time); entries
--         and settled_us: ledger
-- units:  calls, tokens, USD; settled_us since 1970 UTC, 0 without entries
WITH
    (
        SELECT (toInt64(count()), max(toUnixTimestamp64Micro(posted_at)))
        FROM ledger
        WHERE
            -- include parts/explained_entries
    ) AS behind
SELECT
    sum(l.llm_calls) AS llm_calls,
    sum(l.failed_calls) AS failed_calls,
    sum(l.input_tokens) AS input_tokens,
    sum(l.cache_read_input_tokens) AS cache_read_input_tokens,
    sum(l.cache_write_input_tokens) AS cache_write_input_tokens,
    sum(l.output_tokens) AS output_tokens,
    sum(l.reasoning_output_tokens) AS reasoning_output_tokens,
    sum(l.cost_usd) AS cost_usd,
    sum(l.billed_calls) AS billed_calls,
    sum(l.computed_calls) AS computed_calls,
    sum(l.estimated_calls) AS estimated_calls,
    sum(l.unpriced_calls) AS unpriced_calls,
    behind.1 AS entries,
    behind.2 AS settled_us
FROM {book:Identifier} AS l
WHERE
    -- include parts/explained_entries
