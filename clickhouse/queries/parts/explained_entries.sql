-- explained_entries: which entries are behind a figure; a part of explain_entries, explain_places, explain_total and
--                    compare_subject
-- source: ledger
-- Lines of what is not filtered are left out (store/queries.py).
    tenant = {tenant:String}
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC') -- only window
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC') -- only window
    AND trace_id IN {trace_ids:Array(String)} -- only trace
    AND message_id = {message_id:String} -- only message
    AND span_id = {span_id:String} -- only span
    AND provider IN {only_provider:Array(String)} -- only provider
    AND model IN {only_model:Array(String)} -- only model
    AND user_id IN {only_user:Array(String)} -- only user
    AND conversation_id IN {only_conversation:Array(String)} -- only conversation
    AND workflow IN {only_workflow:Array(String)} -- only workflow
    AND agent IN {only_agent:Array(String)} -- only agent
    AND tool IN {only_tool:Array(String)} -- only tool
    AND prompt IN {only_prompt:Array(String)} -- only prompt
    AND variant IN {only_variant:Array(String)} -- only variant
    AND operation IN {only_operation:Array(String)} -- only operation
    AND service IN {only_service:Array(String)} -- only service
    AND status IN {only_status:Array(String)} -- only status
