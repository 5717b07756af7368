-- users: users with what they used in a window
-- grain:  user
-- source: user_usage_1d for whole days, user_usage_1h, calls_by_time and message_list for the rest
-- units:  calls, tokens, USD; last_s since 1970 UTC: the start of the last day or hour with whole figures, or of the last call
SELECT *
FROM
(
    -- include parts/users_in_window
)
