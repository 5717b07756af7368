-- audit_log: a page of the audit trail, latest first
-- grain:  entry (parts/audit_entries)
-- source: otel_logs
-- units:  at_ns since 1970 UTC
-- (before_ns, before_id): the last row of the page before; an empty filter does not filter; action 'key.*' is all of key.
SELECT *
FROM
(
    -- include parts/audit_entries
)
WHERE
    ({actor:String} = '' OR actor = {actor:String} OR user_id = {actor:String})
    AND ({action:String} = '' OR action = {action:String}
        OR (endsWith({action:String}, '.*') AND startsWith(action, substring({action:String}, 1, length({action:String}) - 1))))
    AND ({outcome:String} = '' OR outcome = {outcome:String})
    AND (at_ns, entry_id) < ({before_ns:Int64}, {before_id:String})
ORDER BY at_ns DESC, entry_id DESC
LIMIT {limit:UInt64}
