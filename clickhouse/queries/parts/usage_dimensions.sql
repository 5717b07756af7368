-- usage_dimensions: the dimensions of a breakdown; the lines of dimensions that are not requested are dropped
by_provider, -- dimension provider
by_model, -- dimension model
by_user, -- dimension user
by_conversation, -- dimension conversation
by_workflow, -- dimension workflow
by_agent, -- dimension agent
by_tool, -- dimension tool
by_prompt, -- dimension prompt
by_variant, -- dimension variant
by_operation, -- dimension operation
by_service, -- dimension service
by_tenant, -- dimension tenant
by_status, -- dimension status
