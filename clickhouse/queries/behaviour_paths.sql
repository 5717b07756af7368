-- behaviour_paths: what the newest runs did, step by step: calls of models by operation, tools by name
-- grain:  workflow and path; the commonest first
-- source: ledger, for the newest runs in messages
-- units:  counts, ns
-- newest: how many runs are looked at; a step that is booked in several entries counts once
SELECT
    workflow,
    path,
    count() AS runs,
    countIf(failed_steps > 0) AS with_failed_steps,
    toUInt64(avg(took_ns)) AS mean_ns,
    any(trace_id) AS example_trace_id
FROM
(
    SELECT
        trace_id,
        any(workflow) AS workflow,
        arrayMap(s -> s.2, arraySlice(arraySort(groupArray((start_ns, step))), 1, 20)) AS path,
        countIf(is_failed) AS failed_steps,
        max(start_ns + took) - min(start_ns) AS took_ns
    FROM
    (
        SELECT
            trace_id,
            any(l.workflow) AS workflow,
            if(kind = 'tool', any(l.tool), any(l.operation)) AS step,
            toUnixTimestamp64Nano(any(l.started_at)) AS start_ns,
            sum(l.duration_ns) AS took,
            sum(l.failed_calls) + sum(l.failed_tool_calls) > 0 AS is_failed
        FROM ledger AS l
        WHERE
            l.tenant = {tenant:String}
            AND l.kind IN ('call', 'tool')
            AND l.trace_id IN
            (
                SELECT trace_id
                FROM messages
                WHERE
                    tenant = {tenant:String}
                    AND trace_id != ''
                    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
                    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
                    AND ({workflow:String} = '' OR workflow = {workflow:String})
                ORDER BY started_at DESC
                LIMIT {newest:UInt64}
            )
        GROUP BY trace_id, span_id, kind
        HAVING sum(l.llm_calls) + sum(l.failed_calls) + sum(l.tool_calls) > 0
    )
    GROUP BY trace_id
)
GROUP BY workflow, path
ORDER BY runs DESC, workflow, path
LIMIT {limit:UInt64}
