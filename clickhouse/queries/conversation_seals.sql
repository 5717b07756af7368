-- conversation_seals: how far some conversations are sealed
-- grain:  conversation; no row for one that never was
-- source: statements
-- units:  last_ns since 1970 UTC: the end of the last message that is sealed
SELECT conversation_id, argMax(message_count, version) AS messages, toUnixTimestamp64Nano(argMax(last_at, version)) AS last_ns
FROM statements
WHERE tenant = {tenant:String} AND conversation_id IN {conversation_ids:Array(String)}
    AND
    -- include parts/is_sealed
GROUP BY conversation_id
