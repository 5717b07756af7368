-- prompt_releases: when a version of a prompt was used for the first time in the window
-- grain:  prompt and version; not those that were in use at its start
-- source: usage_1m
-- units:  UTC
SELECT
    min(u.minute) AS time,
    concat('prompt ', u.prompt, ' ', u.prompt_version) AS text,
    'release,prompt' AS tags
FROM usage_1m AS u
WHERE
    u.tenant = {tenant:String}
    AND u.prompt_version != ''
    AND u.minute >= toDateTime({first_s:UInt32}, 'UTC') - 86400
    AND u.minute <= toDateTime({last_s:UInt32}, 'UTC')
GROUP BY u.prompt, u.prompt_version
HAVING time >= toDateTime({first_s:UInt32}, 'UTC')
ORDER BY time, text
