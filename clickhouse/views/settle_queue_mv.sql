-- settle_queue_mv: whatever arrives in genai_spans puts its trace on the settlement queue, with a new ticket (the column's default).
CREATE MATERIALIZED VIEW IF NOT EXISTS settle_queue_mv TO settle_queue AS
SELECT DISTINCT tenant, trace_id
FROM genai_spans
WHERE arrived = 1
