-- conversation_usage: a part that an insert writes keeps all columns in one file; the first merge gives each a file of its own.
-- grain:  as conversation_usage
-- key:    as conversation_usage
-- source: none: a setting
-- units:  none
-- TTL:    as conversation_usage
-- An insert of 40,000 spans made 700 files in these tables, and creating and removing them was a quarter of its CPU.
ALTER TABLE conversation_usage MODIFY SETTING min_level_for_wide_part = 1
