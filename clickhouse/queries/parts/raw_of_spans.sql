-- raw_of_spans: condition for the raw spans of some traces, by the services, names and times of their spans
-- source: otel_traces, whose primary key has service and time
    Tenant = {tenant:String}
    AND ServiceName IN {services:Array(String)}
    AND SpanName IN {span_names:Array(String)}
    AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND TraceId IN {trace_ids:Array(String)}
