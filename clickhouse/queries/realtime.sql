-- realtime: what ended in a window
-- grain:  one row
-- source: calls_by_time
-- units:  calls, tokens, USD, ns
-- first_ns, last_ns: bounds of the end of a call; started_first_ns: no call is older (prunes granules)
-- The lines of a call add up: what a correction replaced comes to nothing. Calls are told apart by a hash of 64 bits:
-- FINAL compares twenty columns of each line, which costs six times as much.
SELECT
    uniqExactIf(e.conversation, e.has_conversation) AS active_conversations,
    quantilesExactIf(0.5, 0.95, 0.99)(e.duration_ns, e.llm_calls + e.failed_calls > 0) AS latency_ns,
    -- include parts/usage_sums
FROM
(
    SELECT
        sum(e.duration_ns) AS duration_ns,
        any(cityHash64(conversation_id)) AS conversation,
        any(conversation_id != '') AS has_conversation,
        any(toUnixTimestamp64Nano(started_at)) + duration_ns AS ended_ns,
        -- include parts/usage_sums
    FROM calls_by_time AS e
    WHERE
        tenant = {tenant:String}
        AND kind IN ('call', 'tool')
        AND started_at >= fromUnixTimestamp64Nano({started_first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    GROUP BY cityHash64(started_at, trace_id, span_id, kind, conversation_id)
) AS e
WHERE e.ended_ns BETWEEN {first_ns:Int64} AND {last_ns:Int64} AND e.llm_calls + e.failed_calls + e.tool_calls > 0
