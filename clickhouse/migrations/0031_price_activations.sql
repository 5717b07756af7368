-- price_activations: which price book holds for calls that start when; the latest that is not undone decides.
-- grain:  one activation, or its undoing (undone = 1, same activation_id)
-- key:    (activated_at, activation_id)
-- source: start-up (a new book holds from then on) and `spanledger reprice` (a window of the past)
-- units:  times UTC
-- TTL:    none
CREATE TABLE IF NOT EXISTS price_activations
(
    activated_at DateTime64(6, 'UTC'),
    activation_id String,
    version String,
    from_at DateTime64(6, 'UTC'),
    to_at DateTime64(6, 'UTC'),
    undone UInt8
)
ENGINE = MergeTree
ORDER BY (activated_at, activation_id)
