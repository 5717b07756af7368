-- scores_by_arm: what evaluators thought of the runs of each arm: the variants of an experiment, or the versions of a prompt
-- grain:  arm and evaluation
-- source: messages, evaluations (of each evaluator the latest word on a message; feedback of people is in runs_by_arm)
-- units:  scores as the evaluator gives them
-- by:     'variant' (name = experiment) or 'prompt' (name = prompt)
SELECT
    arm,
    name AS evaluation,
    evaluator,
    countIf(score IS NOT NULL) AS scored,
    countIf(failed) AS failed,
    avgIf(ifNull(score, 0), score IS NOT NULL) AS mean,
    varSampIf(ifNull(score, 0), score IS NOT NULL) AS variance
FROM
(
    SELECT
        any(r.arm) AS arm,
        e.name AS name,
        e.evaluator AS evaluator,
        argMax(tuple(e.score), (e.evaluated_at, e.digest)).1 AS score,
        argMax(e.error_type != '', (e.evaluated_at, e.digest)) AS failed
    FROM
    (
        SELECT *
        FROM evaluations
        WHERE tenant = {tenant:String} AND message_id != '' AND NOT (name = 'feedback' AND evaluator = 'human')
            AND
            -- include parts/is_sealed
    ) AS e
    INNER JOIN
    (
        SELECT
            message_id,
            if({by:String} = 'variant', substring(variant, length({name:String}) + 2), prompt_version) AS arm
        FROM messages FINAL
        WHERE
            tenant = {tenant:String}
            AND if({by:String} = 'variant', startsWith(variant, concat({name:String}, '/')), prompt = {name:String})
            AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    ) AS r ON r.message_id = e.message_id
    GROUP BY e.message_id, name, evaluator, e.user_id
)
GROUP BY arm, evaluation, evaluator
ORDER BY arm, evaluation, evaluator
