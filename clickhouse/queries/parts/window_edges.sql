-- window_edges: condition for entries before the first and after the last whole bucket of a window
-- source: calls_by_time
            AND {has_edges:UInt8}
            AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
            AND
            (
                started_at < fromUnixTimestamp64Nano({core_first_ns:Int64}, 'UTC')
                OR started_at >= fromUnixTimestamp64Nano({core_end_ns:Int64}, 'UTC')
            )
