-- ledger_stretch: where a stretch of the ledger ends, so that it can be read a piece at a time
-- grain:  one moment; none when no more entries than that follow
-- source: ledger, whose index on posted_at leaves the old granules out
-- params: since_us: the stretch begins after it; rows: how many entries it has, at least
-- units:  end_us since 1970 UTC
SELECT toUnixTimestamp64Micro(posted_at) AS end_us
FROM ledger
WHERE posted_at > fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
ORDER BY posted_at
LIMIT 1 OFFSET {rows:UInt64}
