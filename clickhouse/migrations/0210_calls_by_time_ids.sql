-- calls_by_time: indexes over users and conversations, of which each has few calls among those of all.
-- grain:  as calls_by_time
-- key:    as calls_by_time
-- source: as calls_by_time
-- units:  none
-- TTL:    as calls_by_time
-- An index of a granule has ten bits for each of its users or conversations, at most 2.5 bytes a call.
ALTER TABLE calls_by_time
    ADD INDEX IF NOT EXISTS idx_user_id user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS idx_conversation_id conversation_id TYPE bloom_filter(0.01) GRANULARITY 1
