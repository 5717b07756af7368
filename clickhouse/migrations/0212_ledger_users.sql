-- ledger: an index over users, of whom each has few entries among those of all.
-- grain:  as ledger
-- key:    as ledger
-- source: as ledger
-- units:  none
-- TTL:    as ledger
ALTER TABLE ledger ADD INDEX IF NOT EXISTS idx_user_id user_id TYPE bloom_filter(0.01) GRANULARITY 1
