-- compare_subject: when the calls of a message, conversation or user were made, and of which workflow most were
-- grain:  one row
-- source: ledger
-- units:  ns since 1970 UTC
SELECT
    toUnixTimestamp64Nano(min(started_at)) AS first_call_ns,
    toUnixTimestamp64Nano(max(started_at)) AS last_call_ns,
    topK(1)((service, workflow))[1] AS mostly,
    count() AS entries
FROM ledger
WHERE kind = 'call' AND
    -- include parts/explained_entries
