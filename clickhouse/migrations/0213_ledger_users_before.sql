-- ledger: the index of migration 0212 over the entries that were there before; made in the background.
-- grain:  as ledger
-- key:    as ledger
-- source: ledger
-- units:  none
-- TTL:    as ledger
ALTER TABLE ledger MATERIALIZE INDEX idx_user_id
