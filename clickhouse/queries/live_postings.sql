-- live_postings: what messages came to with each posting in (after_us, until_us]
-- grain:  posting, message
-- source: ledger; without re-pricing, which would repeat all history
-- units:  posted_us since 1970; tokens; USD
SELECT
    toUnixTimestamp64Micro(p.posted_at) AS posted_us,
    p.conversation_id AS conversation_id,
    p.message_id AS message_id,
    p.tenant AS tenant,
    argMax(l.trace_id, l.messages) AS trace_id,
    argMax(l.user_id, l.messages) AS user_id,
    argMax(l.workflow, l.messages) AS workflow,
    sum(l.messages) AS messages,
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
    sum(l.unpriced_calls) AS unpriced_calls
FROM
(
    SELECT DISTINCT tenant, posted_at, conversation_id, message_id
    FROM ledger
    WHERE
        tenant IN {tenants:Array(String)}
        AND reason IN ('settle', 'repair')
        AND kind IN ('call', 'message')
        AND posted_at > fromUnixTimestamp64Micro({after_us:Int64}, 'UTC')
        AND posted_at <= fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
    ORDER BY posted_at
    LIMIT {limit:UInt64} WITH TIES
) AS p
INNER JOIN ledger AS l
    ON l.tenant = p.tenant AND l.conversation_id = p.conversation_id AND l.message_id = p.message_id
WHERE
    l.posted_at <= p.posted_at
    AND l.kind IN ('call', 'message')
    AND l.trace_id IN
    (
        SELECT trace_id FROM ledger
        WHERE
            tenant IN {tenants:Array(String)}
            AND posted_at > fromUnixTimestamp64Micro({after_us:Int64}, 'UTC')
            AND posted_at <= fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
    )
GROUP BY p.tenant, p.posted_at, p.conversation_id, p.message_id
HAVING messages > 0
ORDER BY p.posted_at
