-- tool_errors: why the runs of a tool failed
-- grain:  error type, the most frequent first
-- source: genai_spans; the ledger has the spans that represent runs
-- units:  runs
SELECT error_type, count() AS calls
FROM genai_spans FINAL
WHERE
    tenant = {tenant:String}
    AND role = 'tool'
    AND status = 'error'
    AND tool = {tool:String}
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND (trace_id, span_id) IN (
        SELECT trace_id, span_id
        FROM ledger
        WHERE
            tenant = {tenant:String}
            AND kind = 'tool'
            AND tool = {tool:String}
            AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    )
GROUP BY error_type
ORDER BY calls DESC, error_type
LIMIT 100
