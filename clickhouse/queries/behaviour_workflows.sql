-- behaviour_workflows: runs of each workflow, how long they took and how many failed
-- grain:  workflow and service; the most runs first
-- source: messages
-- units:  counts, ns
-- workflow '' does not filter
SELECT
    m.workflow AS name,
    m.service AS of_service,
    count() AS runs,
    countIf(m.status = 'error') AS failed,
    uniqExactIf(m.user_id, m.user_id != '') AS users,
    quantilesTDigest(0.5, 0.95, 0.99)(m.duration_ns) AS took_ns,
    arraySort(groupUniqArrayArray(20)(m.models)) AS all_models,
    arraySort(groupUniqArrayArray(50)(m.tools)) AS all_tools,
    topKIf(5)(m.error_type, m.status = 'error') AS errors,
    toUnixTimestamp64Nano(min(m.started_at)) AS first_ns,
    toUnixTimestamp64Nano(max(m.started_at)) AS newest_ns
FROM messages AS m FINAL
WHERE
    m.tenant = {tenant:String}
    AND m.started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND m.started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    AND ({workflow:String} = '' OR m.workflow = {workflow:String})
GROUP BY name, of_service
ORDER BY runs DESC, name, of_service
LIMIT {limit:UInt64}
