-- runs_by_arm: what the runs of each arm came to: the variants of an experiment, or the versions of a prompt
-- grain:  arm
-- source: messages, message_usage, evaluations (the latest feedback of each person)
-- units:  runs, tokens, USD, ns; *_mean and *_variance are over units, of the mean of each unit's runs: a unit is the
--         user, or the conversation where no user is known. People are independent of each other, their runs are not.
-- by:     'variant' (name = experiment) or 'prompt' (name = prompt)
WITH
    runs AS
    (
        SELECT
            if({by:String} = 'variant', substring(variant, length({name:String}) + 2), prompt_version) AS arm,
            if(user_id = '', conversation_id, user_id) AS unit,
            message_id,
            conversation_id,
            status = 'error' AS failed,
            duration_ns
        FROM messages FINAL
        WHERE
            tenant = {tenant:String}
            AND if({by:String} = 'variant', startsWith(variant, concat({name:String}, '/')), prompt = {name:String})
            AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    ),
    used AS
    (
        SELECT
            message_id,
            conversation_id,
            sum(u.llm_calls) AS llm_calls,
            sum(u.input_tokens) AS input_tokens,
            sum(u.output_tokens) AS output_tokens,
            sum(u.cost_usd) AS cost_usd,
            sum(u.unpriced_calls) AS unpriced_calls
        FROM message_usage AS u
        WHERE tenant = {tenant:String} AND message_id IN (SELECT message_id FROM runs)
        GROUP BY message_id, conversation_id
    ),
    rated AS
    (
        SELECT message_id, avg(latest) AS feedback
        FROM
        (
            SELECT message_id, user_id, argMax(tuple(score), (evaluated_at, digest)).1 AS latest
            FROM evaluations
            WHERE
                tenant = {tenant:String}
                AND message_id IN (SELECT message_id FROM runs)
                AND name = 'feedback'
                AND evaluator = 'human'
                AND
                -- include parts/is_sealed
            GROUP BY message_id, user_id
        )
        WHERE latest IS NOT NULL
        GROUP BY message_id
    )
SELECT
    arm,
    count() AS units,
    sum(p.runs) AS runs,
    sum(p.failures) AS failures,
    countIf(p.failures > 0) AS failed_units,
    sum(p.calls) AS llm_calls,
    sum(p.unpriced) AS unpriced_calls,
    sum(p.input) AS input_tokens,
    sum(p.output) AS output_tokens,
    sum(p.cost) AS cost_usd,
    quantilesTDigestMerge(0.5, 0.95)(p.latency) AS latency_ns,
    avg(toFloat64(p.cost) / p.runs) AS cost_mean,
    varSamp(toFloat64(p.cost) / p.runs) AS cost_variance,
    avg(p.duration / p.runs) AS latency_mean,
    varSamp(p.duration / p.runs) AS latency_variance,
    avg((p.input + p.output) / p.runs) AS tokens_mean,
    varSamp((p.input + p.output) / p.runs) AS tokens_variance,
    sum(p.rated) AS rated_runs,
    countIf(p.rated > 0) AS feedback_units,
    avgIf(p.rating / p.rated, p.rated > 0) AS feedback_mean,
    varSampIf(p.rating / p.rated, p.rated > 0) AS feedback_variance
FROM
(
    SELECT
        r.arm AS arm,
        r.unit AS unit,
        count() AS runs,
        sum(r.failed) AS failures,
        sum(u.llm_calls) AS calls,
        sum(u.unpriced_calls) AS unpriced,
        sum(u.input_tokens) AS input,
        sum(u.output_tokens) AS output,
        sum(u.cost_usd) AS cost,
        sum(r.duration_ns) AS duration,
        quantilesTDigestState(0.5, 0.95)(toFloat64(r.duration_ns)) AS latency,
        countIf(s.message_id != '') AS rated,
        sumIf(s.feedback, s.message_id != '') AS rating
    FROM runs AS r
    LEFT JOIN used AS u ON u.message_id = r.message_id AND u.conversation_id = r.conversation_id
    LEFT JOIN rated AS s ON s.message_id = r.message_id
    GROUP BY arm, unit
) AS p
GROUP BY arm
ORDER BY arm
