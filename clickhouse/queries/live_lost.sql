-- live_lost: runs that earlier processes of this node started and never ended
-- grain:  run
-- source: otel_logs (a run's start is a log record, for a span is exported at its end), otel_traces
-- units:  start_ns since 1970
-- node: how their instances' names begin; instance: the process that asks, whose runs may still go on
SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    min(toUnixTimestamp64Nano(Timestamp)) AS start_ns,
    any(LogAttributes) AS attributes
FROM otel_logs
WHERE
    ServiceName = {service:String}
    AND EventName = 'spanledger.workflow_started'
    AND startsWith(ResourceAttributes['service.instance.id'], {node:String})
    AND ResourceAttributes['service.instance.id'] != {instance:String}
    AND ReceivedAt >= now() - toIntervalDay({days:UInt32})
    AND (TraceId, SpanId) NOT IN
    (
        SELECT TraceId, SpanId FROM otel_traces
        WHERE
            ServiceName = {service:String}
            AND startsWith(SpanName, 'invoke_workflow')
            AND ReceivedAt >= now() - toIntervalDay({days:UInt32})
    )
GROUP BY trace_id, span_id
ORDER BY start_ns
