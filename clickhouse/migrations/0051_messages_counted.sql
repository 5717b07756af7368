-- messages, one more column: how many messages a row stands for.
-- grain:  as messages
-- key:    as messages
-- source: settlement: two for an exchange, one for a question that failed or a message among people
-- units:  count
-- TTL:    as messages
ALTER TABLE messages
    ADD COLUMN IF NOT EXISTS counted UInt8 DEFAULT if(status = 'error', 1, 2)
