-- window_rest: condition for entries before the first and after the last whole hour of a window
-- source: a table in the order of time
            AND {has_rest:UInt8}
            AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
            AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
            AND
            (
                started_at < fromUnixTimestamp64Nano({hours_first_ns:Int64}, 'UTC')
                OR started_at >= fromUnixTimestamp64Nano({hours_end_ns:Int64}, 'UTC')
            )
