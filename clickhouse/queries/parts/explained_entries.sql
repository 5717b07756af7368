-- explained_entries: which entries are behind a figure; a part of explain_entries, explain_places, explain_total and
--                    compare_subject
-- source: ledger
-- Lines of what is not filtered are left out (store/queries.py).
    tenant = {tenant:String}
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC') -- only window
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC') -- only window
    AND trace_id IN {trace_ids:Array(String)} -- only trace
    AND message_id = {message_id:String} -- only message
    AND span_id = {span_id:String} -- only span
        -- include parts/usage_only
