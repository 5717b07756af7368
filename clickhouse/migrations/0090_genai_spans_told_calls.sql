-- genai_spans, one more column: of how many calls a span tells.
-- grain:  as genai_spans
-- key:    as genai_spans
-- source: settlement (dialects/interpreter.py)
-- units:  calls. NULL means one call
-- TTL:    as genai_spans
-- More than one: a chain that alone tells the usage of a whole crew. 0: marked as a call, but shows neither answer, usage nor id;
-- it counts unless the real call stands beside it.
ALTER TABLE genai_spans
    ADD COLUMN IF NOT EXISTS told_calls Nullable(Int64) CODEC(T64, ZSTD(1))
