-- usage_columns: the columns of a source of the usage_from_* queries: dimensions that are grouped by, and measures
-- units:  calls, tokens, USD
        0 AS by_group,
        provider AS by_provider, -- by provider
        model AS by_model, -- by model
        user_id AS by_user, -- by user
        conversation_id AS by_conversation, -- by conversation
        workflow AS by_workflow, -- by workflow
        agent AS by_agent, -- by agent
        tool AS by_tool, -- by tool
        prompt AS by_prompt, -- by prompt
        variant AS by_variant, -- by variant
        operation AS by_operation, -- by operation
        service AS by_service, -- by service
        tenant AS by_tenant, -- by tenant
        status AS by_status, -- by status
        llm_calls, failed_calls, input_tokens, cache_read_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens, cost_usd, billed_calls, computed_calls, estimated_calls, unpriced_calls, tool_calls, failed_tool_calls
