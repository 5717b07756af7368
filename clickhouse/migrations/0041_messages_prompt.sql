-- messages, more columns: the prompt and the experiment's variant by which a message was answered.
-- grain:  as messages
-- key:    as messages
-- source: settlement
-- units:  none
-- TTL:    as messages
ALTER TABLE messages
    ADD COLUMN IF NOT EXISTS prompt LowCardinality(String),
    ADD COLUMN IF NOT EXISTS prompt_version LowCardinality(String),
    ADD COLUMN IF NOT EXISTS variant LowCardinality(String)          -- experiment/variant, or what a foreign application calls it
