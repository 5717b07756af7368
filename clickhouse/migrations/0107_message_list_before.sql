-- message_list, the messages from before there was a view for it; a second run replaces the rows of the first.
INSERT INTO message_list (tenant, started_at, conversation_id, message_id, trace_id, user_id, correlation_id, service, workflow, agent, duration_ns,
    status, error_type, providers, models, tools, counted, prompt, prompt_version, variant, version)
SELECT tenant, started_at, conversation_id, message_id, trace_id, user_id, correlation_id, service, workflow, agent, duration_ns,
    status, error_type, providers, models, tools, counted, prompt, prompt_version, variant, version
FROM messages
WHERE deleted = 0
