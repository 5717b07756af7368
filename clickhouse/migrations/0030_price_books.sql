-- price_books: every price book that was ever used, whole, so that old figures can always be computed again.
-- grain:  one file (layer) of one version of the book
-- key:    (version, position)
-- source: start-up and `spanledger reprice --price-book`
-- units:  content as the file stood
-- TTL:    none
CREATE TABLE IF NOT EXISTS price_books
(
    version String,
    position UInt8,                                   -- 0 is asked first
    file_name String,
    content String CODEC(ZSTD(9)),
    registered_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(registered_at)
ORDER BY (version, position)
SETTINGS non_replicated_deduplication_window = 100
