-- audit_entries: the entries of the audit trail in a window, each once; a part of audit_log and compliance
-- grain:  entry; one that stands for several equal happenings has their number in `count`
-- source: otel_logs
-- units:  at_ns since 1970 UTC
-- sealed: 1 if this installation wrote it; senders may write logs too. A true copy of an entry is that entry, and what the
-- seal does not cover is listed as first received: an entry cannot be copied before it exists.
SELECT
    toUnixTimestamp64Nano(Timestamp) AS at_ns,
    LogAttributes['spanledger.entry.id'] AS entry_id,
    EventName AS event,
    LogAttributes[concat(EventName, '.action')] AS action,
    LogAttributes[concat(EventName, '.outcome')] AS outcome,
    LogAttributes[concat(EventName, '.target')] AS target,
    LogAttributes['spanledger.key.id'] AS key_id,
    multiIf(key_id != '', key_id, action = 'key.refuse', 'unknown', 'local') AS actor,
    LogAttributes['spanledger.entry.seal'] AS seal,
    LogAttributes[concat(EventName, '.count')] AS count_text,
    greatest(1, toInt64OrZero(count_text)) AS count,
    argMin(LogAttributes['user.id'], ReceivedAt) AS user_id,
    argMin(LogAttributes['spanledger.correlation.id'], ReceivedAt) AS correlation_id,
    argMin(TraceId, ReceivedAt) AS trace_id,
    argMin(LogAttributes, ReceivedAt) AS attributes,
    {secret:String} != '' AND seal = lower(hex(SHA256(arrayStringConcat(
        [{secret:String}, entry_id, event, action, outcome, target, key_id, count_text, toString(at_ns), {secret:String}], char(31))))) AS sealed
FROM otel_logs
WHERE
    Tenant = {tenant:String}
    AND EventName IN ('spanledger.audit', 'spanledger.security', 'spanledger.limit_exceeded')
    AND Timestamp >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND Timestamp <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
GROUP BY entry_id, event, action, outcome, target, key_id, seal, count_text, at_ns
