-- compliance: who did what to which data in a window, and what came of it
-- grain:  event, actor, action, target, outcome; most frequent first
-- source: otel_logs
-- units:  count of happenings; first_ns, last_ns since 1970 UTC
-- sealed: 1 if this installation wrote it; senders may write logs too. A true copy of an entry is that entry.
SELECT
    event,
    multiIf(key_id != '', key_id, action = 'key.refuse', 'unknown', 'local') AS actor,
    action,
    target,
    outcome,
    sealed,
    sum(count) AS happened,
    min(at_ns) AS first_ns,
    max(at_ns) AS last_ns
FROM
(
    SELECT
        toUnixTimestamp64Nano(Timestamp) AS at_ns,
        LogAttributes['spanledger.entry.id'] AS entry_id,
        EventName AS event,
        LogAttributes[concat(EventName, '.action')] AS action,
        LogAttributes[concat(EventName, '.outcome')] AS outcome,
        LogAttributes[concat(EventName, '.target')] AS target,
        LogAttributes['spanledger.key.id'] AS key_id,
        LogAttributes['spanledger.entry.seal'] AS seal,
        LogAttributes[concat(EventName, '.count')] AS count_text,
        greatest(1, toInt64OrZero(count_text)) AS count,
        {secret:String} != '' AND seal = lower(hex(SHA256(arrayStringConcat(
            [{secret:String}, entry_id, event, action, outcome, target, key_id, count_text, toString(at_ns), {secret:String}], char(31))))) AS sealed
    FROM otel_logs
    WHERE
        Tenant = {tenant:String}
        AND EventName IN ('spanledger.audit', 'spanledger.security', 'spanledger.limit_exceeded')
        AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    GROUP BY entry_id, event, action, outcome, target, key_id, seal, count_text, at_ns
)
GROUP BY event, actor, action, target, outcome, sealed
ORDER BY happened DESC, event, actor, action, target, outcome
LIMIT {limit:UInt64}
