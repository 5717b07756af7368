-- settle_queue_mv: every span that arrives in genai_spans puts its trace on the settlement queue.
CREATE MATERIALIZED VIEW IF NOT EXISTS settle_queue_mv TO settle_queue AS
SELECT tenant, trace_id, toInt64(count()) AS pending
FROM genai_spans
WHERE arrived = 1
GROUP BY tenant, trace_id
