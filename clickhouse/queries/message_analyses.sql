-- message_analyses: results of the live analysis of a conversation's messages, in time order
-- grain:  message
-- source: otel_logs, by the messages' traces
-- units:  at_ns since 1970 UTC
SELECT
    LogAttributes['spanledger.message.id'] AS message_id,
    toUnixTimestamp64Nano(Timestamp) AS at_ns,
    LogAttributes['spanledger.analysis.sentiment'] AS sentiment,
    toFloat64OrZero(LogAttributes['spanledger.analysis.sentiment.score']) AS score,
    JSONExtract(LogAttributes['spanledger.analysis.topics'], 'Array(String)') AS topics
FROM otel_logs
WHERE
    Tenant = {tenant:String}
    AND TraceId IN {trace_ids:Array(String)}
    AND EventName = 'spanledger.analysis'
ORDER BY Timestamp
LIMIT 1 BY message_id
