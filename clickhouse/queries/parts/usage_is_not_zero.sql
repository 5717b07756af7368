-- usage_is_not_zero: groups in which nothing was used are left out; of the usage_from_* queries
HAVING
    level = 'total'
    OR llm_calls != 0
    OR failed_calls != 0
    OR input_tokens != 0
    OR output_tokens != 0
    OR cost_usd != 0
    OR ({with_tools:UInt8} AND tool_calls != 0)
