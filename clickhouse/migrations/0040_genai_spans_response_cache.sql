-- genai_spans, more columns: whether a response cache answered in place of the provider.
-- grain:  as genai_spans
-- key:    as genai_spans
-- source: settlement (ledger/interpret.py)
-- units:  saved_usd in USD; NULL means the span did not say, never zero
-- TTL:    as genai_spans
-- A hit is no provider call and stands in no book; its tokens here are those that the cached answer had cost.
ALTER TABLE genai_spans
    ADD COLUMN IF NOT EXISTS response_cache LowCardinality(String), -- hit | miss | '' (no cache was asked)
    ADD COLUMN IF NOT EXISTS saved_usd Nullable(Decimal(38, 15)) CODEC(ZSTD(1))
