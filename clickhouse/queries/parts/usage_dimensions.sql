-- usage_dimensions: the dimensions of a breakdown; the lines of dimensions that are not grouped by are left out
by_provider, -- by provider
by_model, -- by model
by_user, -- by user
by_conversation, -- by conversation
by_workflow, -- by workflow
by_agent, -- by agent
by_tool, -- by tool
by_prompt, -- by prompt
by_variant, -- by variant
by_operation, -- by operation
by_service, -- by service
by_tenant, -- by tenant
by_status, -- by status
