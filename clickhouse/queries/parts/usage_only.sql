-- usage_only: conditions on the dimensions that are filtered; of the usage_from_* queries
--             and, by explained_entries, of explanations
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
        AND tenant IN {only_tenant:Array(String)} -- only tenant
        AND status IN {only_status:Array(String)} -- only status
