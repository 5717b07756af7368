-- calls_by_time: compressed blocks of 16 KiB in place of 64 in the parts that merges write.
-- grain:  as calls_by_time
-- key:    as calls_by_time
-- source: none: a setting
-- units:  none
-- TTL:    as calls_by_time
-- A question about few rows decompresses a block of each column for each of them. Smaller blocks halve its CPU, for three
-- to four percent more bytes on disk.
ALTER TABLE calls_by_time MODIFY SETTING min_compress_block_size = 16384
