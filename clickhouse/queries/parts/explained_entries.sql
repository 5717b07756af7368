-- explained_entries: which entries are behind a figure; a part of explain_entries and explain_total
-- source: ledger
-- An empty list or text does not filter.
    tenant = {tenant:String}
    AND (NOT {with_traces:UInt8} OR trace_id IN {trace_ids:Array(String)})
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND ({message_id:String} = '' OR message_id = {message_id:String})
    AND ({span_id:String} = '' OR span_id = {span_id:String})
    AND (empty({only_provider:Array(String)}) OR provider IN {only_provider:Array(String)})
    AND (empty({only_model:Array(String)}) OR model IN {only_model:Array(String)})
    AND (empty({only_user:Array(String)}) OR user_id IN {only_user:Array(String)})
    AND (empty({only_conversation:Array(String)}) OR conversation_id IN {only_conversation:Array(String)})
    AND (empty({only_workflow:Array(String)}) OR workflow IN {only_workflow:Array(String)})
    AND (empty({only_agent:Array(String)}) OR agent IN {only_agent:Array(String)})
    AND (empty({only_tool:Array(String)}) OR tool IN {only_tool:Array(String)})
    AND (empty({only_prompt:Array(String)}) OR prompt IN {only_prompt:Array(String)})
    AND (empty({only_variant:Array(String)}) OR variant IN {only_variant:Array(String)})
    AND (empty({only_operation:Array(String)}) OR operation IN {only_operation:Array(String)})
    AND (empty({only_service:Array(String)}) OR service IN {only_service:Array(String)})
    AND (empty({only_status:Array(String)}) OR status IN {only_status:Array(String)})
