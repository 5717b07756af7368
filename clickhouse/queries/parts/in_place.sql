-- in_place: condition for the spans of some traces, by their place (place_of_traces)
-- source: otel_traces
    Tenant = {tenant:String}
    AND has(place.1, ServiceName)
    AND Timestamp >= place.2
    AND Timestamp <= place.3
    AND TraceId IN {trace_ids:Array(String)}
