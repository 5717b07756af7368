-- what settlement would tell of each message
INSERT INTO messages (tenant, conversation_id, message_id, trace_id, user_id, correlation_id, service, workflow, agent, started_at,
    duration_ns, status, error_type, providers, models, tools, version, deleted)
SELECT tenant, anyIf(conversation_id, role = 'workflow'), anyIf(message_id, role = 'workflow'), trace_id, anyIf(user_id, role = 'workflow'),
    anyIf(correlation_id, role = 'workflow'), any(service), anyIf(workflow, role = 'workflow'), anyIf(agent, role = 'workflow'),
    min(started_at), max(duration_ns), if(countIf(role = 'workflow' AND status = 'error') > 0, 'error', 'ok'), '',
    groupUniqArrayIf(provider, provider != ''), groupUniqArrayIf(response_model, response_model != ''), groupUniqArrayIf(tool, tool != ''),
    1, 0
FROM genai_spans WHERE batch = {batch:String} GROUP BY tenant, trace_id
