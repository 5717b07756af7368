-- live_entries: calls, tool runs and messages of other services that were posted for the first time in (after_us, until_us]
-- grain:  call, tool run or message
-- source: ledger
-- units:  posted_us since 1970, started_ns since 1970, duration in ns; tokens; USD
SELECT
    toUnixTimestamp64Micro(min(posted_at)) AS posted_us,
    tenant,
    kind,
    trace_id,
    span_id,
    if(kind = 'message', message_id, '') AS message,
    argMin(message_id, posted_at) AS message_id_,
    argMin(conversation_id, posted_at) AS conversation,
    argMin(user_id, posted_at) AS user,
    argMin(workflow, posted_at) AS workflow_,
    argMin(agent, posted_at) AS agent_,
    argMin(service, posted_at) AS service_,
    argMin(operation, posted_at) AS operation_,
    argMin(provider, posted_at) AS provider_,
    argMin(model, posted_at) AS model_,
    argMin(tool, posted_at) AS tool_,
    argMin(status, posted_at) AS status_,
    argMin(toUnixTimestamp64Nano(started_at), posted_at) AS started_ns,
    argMin(duration_ns, posted_at) AS took_ns,
    argMin(llm_calls, posted_at) AS served,
    argMin(input_tokens, posted_at) AS input,
    argMin(output_tokens, posted_at) AS output,
    argMin(cost_usd, posted_at) AS cost,
    argMin(cost_state, posted_at) AS state
FROM ledger
WHERE
    tenant IN {tenants:Array(String)}
    AND service != {service:String}
    AND reason IN ('settle', 'repair')
    AND trace_id IN
    (
        SELECT trace_id FROM ledger
        WHERE
            tenant IN {tenants:Array(String)}
            AND posted_at > fromUnixTimestamp64Micro({after_us:Int64}, 'UTC')
            AND posted_at <= fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
    )
GROUP BY tenant, kind, trace_id, span_id, message
HAVING posted_us > {after_us:Int64} AND posted_us <= {until_us:Int64}
