-- statements, three more columns: whether a version is one that this installation wrote.
-- grain:  as statements; a row with another seal or other figures never replaces a true one
-- key:    (tenant, conversation_id, version, facts_digest, seal)
-- source: view statements_mv
-- units:  digests as lower-case hexadecimal text
-- TTL:    as statements
-- is_checked 0: from before there were seals, counts as true. Else queries/parts/is_sealed.sql decides.
ALTER TABLE statements
    ADD COLUMN IF NOT EXISTS facts_digest String,          -- SHA-256 of what the seal covers, hexadecimal
    ADD COLUMN IF NOT EXISTS seal String,                  -- of our own installation; empty: none
    ADD COLUMN IF NOT EXISTS is_checked UInt8,             -- 0: from before there were seals
    MODIFY ORDER BY (tenant, conversation_id, version, facts_digest, seal)
