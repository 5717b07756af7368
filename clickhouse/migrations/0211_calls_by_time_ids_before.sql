-- calls_by_time: the indexes of migration 0210 over the calls that were there before; made in the background.
-- grain:  as calls_by_time
-- key:    as calls_by_time
-- source: calls_by_time
-- units:  none
-- TTL:    as calls_by_time
ALTER TABLE calls_by_time
    MATERIALIZE INDEX idx_user_id,
    MATERIALIZE INDEX idx_conversation_id
