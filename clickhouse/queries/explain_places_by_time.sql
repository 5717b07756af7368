-- explain_places_by_time: the first calls and messages behind a figure, from tables in the order of time
-- grain:  place of a call or message: started_ns, trace_id, span_id ('' for a message)
-- source: calls_by_time, messages_by_user
-- units:  started_ns since 1970 UTC
-- Lines of a dimension that is not filtered are left out (store/queries.py).
-- calls: how many; (after_ns, after_trace, after_span): the last call of the page before; with_messages: 0 where only
-- calls can fit. Calls and messages whose entries cancel out are not listed.
SELECT toUnixTimestamp64Nano(started_at) AS started_ns, trace_id, span_id
FROM
(
    SELECT started_at, trace_id, span_id
    FROM calls_by_time AS c
    WHERE
        tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND (started_at, trace_id, span_id) > (fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC'), {after_trace:String}, {after_span:String})
        AND provider IN {only_provider:Array(String)} -- only provider
        AND model IN {only_model:Array(String)} -- only model
        AND user_id IN {only_user:Array(String)} -- only user
        AND workflow IN {only_workflow:Array(String)} -- only workflow
        AND agent IN {only_agent:Array(String)} -- only agent
        AND tool IN {only_tool:Array(String)} -- only tool
        AND operation IN {only_operation:Array(String)} -- only operation
        AND service IN {only_service:Array(String)} -- only service
        AND status IN {only_status:Array(String)} -- only status
    GROUP BY started_at, trace_id, span_id
    HAVING sum(c.llm_calls) != 0 OR sum(c.failed_calls) != 0 OR sum(c.tool_calls) != 0 OR sum(c.cost_usd) != 0
        OR sum(c.input_tokens) != 0 OR sum(c.output_tokens) != 0 OR sum(c.duration_ns) != 0
    ORDER BY started_at, trace_id, span_id
    LIMIT {calls:UInt32}
    UNION ALL
    SELECT started_at, trace_id, '' AS span_id
    FROM messages_by_user AS m
    WHERE
        {with_messages:UInt8}
        AND tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        AND (started_at, trace_id, '') > (fromUnixTimestamp64Nano({after_ns:Int64}, 'UTC'), {after_trace:String}, {after_span:String})
        AND user_id IN {only_user:Array(String)} -- only user
        AND workflow IN {only_workflow:Array(String)} -- only workflow
        AND agent IN {only_agent:Array(String)} -- only agent
        AND service IN {only_service:Array(String)} -- only service
        AND status IN {only_status:Array(String)} -- only status
    GROUP BY started_at, trace_id
    HAVING sum(m.messages) != 0
    ORDER BY started_at, trace_id
    LIMIT {calls:UInt32}
)
ORDER BY started_at, trace_id, span_id
LIMIT {calls:UInt32}
