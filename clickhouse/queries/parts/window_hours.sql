-- window_hours: condition for whole hours before the first and after the last whole day of a window
-- source: a rollup by hour
            AND hour >= toDateTime({hours_first_s:UInt32}, 'UTC')
            AND hour < toDateTime({hours_end_s:UInt32}, 'UTC')
            AND (hour < toDateTime({core_first_s:UInt32}, 'UTC') OR hour >= toDateTime({core_end_s:UInt32}, 'UTC'))
