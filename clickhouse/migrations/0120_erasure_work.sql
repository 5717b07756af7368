-- erasure_work: what an erasure at work is about; scratch, lost at a restart by design. Statements that change tables name
-- its rows and not the ids themselves, which would stay in the files of the mutations.
-- grain:  one value of one erasure: a trace, a span, a word with what takes its place
-- key:    none
-- source: erasure/
-- units:  none
-- TTL:    none: rows go with the erasure, and with the process
CREATE TABLE IF NOT EXISTS erasure_work
(
    run_id String,
    kind LowCardinality(String),                      -- trace | whole | span | word | pattern | document
    value String,
    other String                                      -- of a span: its id; of a word: its pseudonym
)
ENGINE = Memory
