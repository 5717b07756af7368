-- explain_entries: the ledger's entries behind a figure, in the order of calls
-- grain:  entry
-- source: ledger
-- units:  counts, tokens, ns, USD; posted_us and started_ns since 1970 UTC
-- (after_ns, after_trace, after_span): the last call of the page before
-- trace_ids: all traces that can have entries, where they are known, which lets the primary key work
-- places: those of explain_places, where they were looked for
-- began_ns: the earliest start that an entry of the call or message has; a later settlement may find another one, and
-- all entries of a call stand together
SELECT *
FROM
(
    SELECT
        *,
        min(started_ns) OVER (PARTITION BY trace_id, span_id, if(span_id = '', message_id, '')) AS began_ns
    FROM
    (
        SELECT
            toUnixTimestamp64Micro(posted_at) AS posted_us,
            reason,
            run_id,
            price_book,
            kind,
            trace_id,
            span_id,
            toUnixTimestamp64Nano(started_at) AS started_ns,
            conversation_id,
            message_id,
            user_id,
            service,
            operation,
            provider,
            model,
            workflow,
            agent,
            tool,
            prompt,
            prompt_version,
            variant,
            status,
            cost_state,
            llm_calls,
            failed_calls,
            input_tokens,
            cache_read_input_tokens,
            cache_write_input_tokens,
            output_tokens,
            reasoning_output_tokens,
            cost_usd,
            claimed_usd,
            claimed_calls,
            billed_calls,
            computed_calls,
            estimated_calls,
            unpriced_calls,
            tool_calls,
            failed_tool_calls,
            messages,
            duration_ns
        FROM ledger
        WHERE
            -- include parts/explained_entries
            AND (toUnixTimestamp64Nano(started_at), trace_id, span_id) IN {places:Array(Tuple(Int64, String, String))} -- only place
    )
)
WHERE (began_ns, trace_id, span_id) > ({after_ns:Int64}, {after_trace:String}, {after_span:String})
ORDER BY began_ns, trace_id, span_id, posted_us, llm_calls + failed_calls + tool_calls + messages
LIMIT {limit:UInt32}
