-- message_ratings: how people rated some messages
-- grain:  message
-- source: evaluations
-- units:  people; of each the latest rating of a message counts
SELECT message_id, countIf(latest = 'positive') AS positive, countIf(latest = 'negative') AS negative
FROM
(
    SELECT message_id, user_id, argMax(label, evaluated_at) AS latest
    FROM evaluations FINAL
    WHERE tenant = {tenant:String} AND message_id IN {message_ids:Array(String)} AND name = 'feedback' AND
    -- include parts/is_sealed
    GROUP BY message_id, user_id
)
GROUP BY message_id
