-- explained_entries: which entries are behind a figure; a part of explain_entries and explain_total
-- source: ledger
-- An empty list or text does not filter.
    tenant = {tenant:String}
    AND (NOT {with_traces:UInt8} OR trace_id IN {trace_ids:Array(String)})
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND ({message_id:String} = '' OR message_id = {message_id:String})
    AND ({span_id:String} = '' OR span_id = {span_id:String})
    AND (empty({only_provider:Array(String)}) OR has({only_provider:Array(String)}, provider))
    AND (empty({only_model:Array(String)}) OR has({only_model:Array(String)}, model))
    AND (empty({only_user:Array(String)}) OR has({only_user:Array(String)}, user_id))
    AND (empty({only_conversation:Array(String)}) OR conversation_id IN {only_conversation:Array(String)})
    AND (empty({only_workflow:Array(String)}) OR has({only_workflow:Array(String)}, workflow))
    AND (empty({only_agent:Array(String)}) OR has({only_agent:Array(String)}, agent))
    AND (empty({only_tool:Array(String)}) OR has({only_tool:Array(String)}, tool))
    AND (empty({only_prompt:Array(String)}) OR has({only_prompt:Array(String)}, prompt))
    AND (empty({only_variant:Array(String)}) OR has({only_variant:Array(String)}, variant))
    AND (empty({only_operation:Array(String)}) OR has({only_operation:Array(String)}, operation))
    AND (empty({only_service:Array(String)}) OR has({only_service:Array(String)}, service))
    AND (empty({only_status:Array(String)}) OR has({only_status:Array(String)}, status))
