-- settle_work.key: beside the traces of a run, under a run id of their own, the keys of calls whose copies it looks for.
-- grain:  as settle_work; of a run `keys:…` one key
-- key:    none
-- source: settlement
-- units:  a key as in call_keys
-- TTL:    none: lost at a restart by design
ALTER TABLE settle_work ADD COLUMN IF NOT EXISTS key UInt64
