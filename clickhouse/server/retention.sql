-- Retention, as the administrator. The books (genai_spans, ledger, rollups, messages) are kept; raw data may go.
-- Re-normalising reaches back as far as otel_traces does. By time of receipt, so a wrong clock expires nothing.
ALTER TABLE otel_traces MODIFY TTL toDateTime(ReceivedAt) + INTERVAL 30 DAY;
ALTER TABLE otel_logs MODIFY TTL toDateTime(ReceivedAt) + INTERVAL 14 DAY;
ALTER TABLE otel_metrics_gauge MODIFY TTL toDateTime(ReceivedAt) + INTERVAL 14 DAY;
ALTER TABLE otel_metrics_sum MODIFY TTL toDateTime(ReceivedAt) + INTERVAL 14 DAY;
ALTER TABLE otel_metrics_histogram MODIFY TTL toDateTime(ReceivedAt) + INTERVAL 14 DAY;
ALTER TABLE otel_metrics_exponential_histogram MODIFY TTL toDateTime(ReceivedAt) + INTERVAL 14 DAY;
ALTER TABLE otel_metrics_summary MODIFY TTL toDateTime(ReceivedAt) + INTERVAL 14 DAY;
