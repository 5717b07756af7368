-- conversations_touched: conversations about which something was posted lately
-- grain:  conversation of a tenant
-- source: ledger, whose index on posted_at leaves the old granules out
-- params: since_us, end_us: posted after the one, not after the other; among: conversations, empty for all
-- units:  last_ns since 1970 UTC: the end of the last call; posted_us since 1970 UTC
SELECT
    tenant,
    conversation_id,
    max(toUnixTimestamp64Nano(started_at) + greatest(duration_ns, 0)) AS last_ns,
    max(toUnixTimestamp64Micro(posted_at)) AS posted_us
FROM ledger
WHERE posted_at > fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    AND posted_at <= fromUnixTimestamp64Micro({end_us:Int64}, 'UTC')
    AND conversation_id != ''
    AND (empty({among:Array(String)}) OR conversation_id IN {among:Array(String)})
GROUP BY tenant, conversation_id
