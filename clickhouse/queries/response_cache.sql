-- response_cache: look-ups of response caches, and what they saved
-- grain:  provider and model
-- source: genai_spans
-- units:  look-ups, tokens, USD; priced_hits: hits whose saving is known in USD
SELECT
    provider,
    if(response_model = '', request_model, response_model) AS model,
    countIf(response_cache = 'hit') AS hits,
    countIf(response_cache = 'miss') AS misses,
    sumIf(ifNull(s.input_tokens, 0), response_cache = 'hit') AS input_tokens,
    sumIf(ifNull(s.output_tokens, 0), response_cache = 'hit') AS output_tokens,
    sumIf(ifNull(s.saved_usd, toDecimal128(0, 15)), response_cache = 'hit') AS cost_usd,
    countIf(response_cache = 'hit' AND s.saved_usd IS NOT NULL) AS priced_hits
FROM
(
    SELECT *
    FROM genai_spans
    WHERE
        tenant = {tenant:String}
        AND response_cache != ''
        AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
        AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
    ORDER BY version DESC
    LIMIT 1 BY trace_id, span_id
) AS s
GROUP BY provider, model
ORDER BY hits DESC, misses DESC, provider, model
