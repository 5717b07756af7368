-- message_list_mv: every message lands in message_list, in the order of time.
CREATE MATERIALIZED VIEW IF NOT EXISTS message_list_mv TO message_list AS
SELECT
    tenant, started_at, conversation_id, message_id, trace_id, user_id, correlation_id, service, workflow, agent, duration_ns,
    status, error_type, providers, models, tools, counted, prompt, prompt_version, variant, version
FROM messages
WHERE deleted = 0
