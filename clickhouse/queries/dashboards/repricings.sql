-- repricings: when calls were priced anew, or that was undone, and what it changed
-- grain:  run that wrote such entries within the window
-- source: ledger
-- units:  UTC
SELECT
    max(l.posted_at) AS time,
    concat(if(l.reason = 'undo', 'prices undone: ', 'prices changed: '), toString(uniqExact(l.trace_id, l.span_id)), ' calls, ',
        if(sum(l.cost_usd) >= 0, '+', ''), toString(round(sum(l.cost_usd), 6)), ' USD') AS text,
    'prices' AS tags
FROM ledger AS l
WHERE
    l.tenant = {tenant:String}
    AND l.reason IN ('reprice', 'undo')
    AND l.posted_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND l.posted_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
GROUP BY l.run_id, l.reason
ORDER BY time, text
