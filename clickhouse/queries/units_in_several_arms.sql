-- units_in_several_arms: how many users saw more than one variant of an experiment
-- grain:  one row
-- source: messages
-- units:  users, or conversations where no user is known
SELECT count() AS units
FROM
(
    SELECT if(user_id = '', conversation_id, user_id) AS unit
    FROM messages FINAL
    WHERE
        tenant = {tenant:String}
        AND startsWith(variant, concat({name:String}, '/'))
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    GROUP BY unit
    HAVING uniqExact(variant) > 1
)
