-- Values as the Collector's `AnyValue.AsString()` writes them; put in front of every loading query.
-- Go's and ClickHouse's shortest doubles agree but for the plus sign of large exponents; their JSON strings agree but for
-- control characters and U+2028/9, and arrays with those the door has written as text before.
-- Empty bytes inside an array are null to Go.
WITH
    (x -> if(isFinite(x), if(abs(x) >= 1e21, replaceOne(toString(x), 'e', 'e+'), toString(x)),
             multiIf(isNaN(x), 'NaN', x > 0, 'Infinity', '-Infinity'))) AS double_text,
    (v -> multiIf(
             v.kind = 'string_value', toJSONString(v.string_value),
             v.kind = 'int_value', toString(v.int_value),
             v.kind = 'double_value', double_text(v.double_value),
             v.kind = 'bool_value', if(v.bool_value, 'true', 'false'),
             v.kind = 'bytes_value' AND v.bytes_value != '', concat('"', base64Encode(v.bytes_value), '"'),
             'null')) AS json_scalar,
    (values -> if(arrayExists(v -> v.kind = 'double_value' AND NOT isFinite(v.double_value), values), '',
             concat('[', arrayStringConcat(arrayMap(v -> json_scalar(v), values), ','), ']'))) AS json_array,
    (v -> multiIf(
             v.kind = 'string_value', v.string_value,
             v.kind = 'int_value', toString(v.int_value),
             v.kind = 'double_value', double_text(v.double_value),
             v.kind = 'bool_value', if(v.bool_value, 'true', 'false'),
             v.kind = 'array_value', json_array(v.array_value.values),
             v.kind = 'bytes_value', base64Encode(v.bytes_value),
             '')) AS value_text,
    (attributes -> CAST(arrayMap(a -> (a.key, value_text(a.value)), attributes), 'Map(LowCardinality(String), String)')) AS text_map,
    (v -> if(v.kind = 'as_int', toFloat64(v.as_int), v.as_double)) AS number,
    (id -> lower(hex(id))) AS id_text,
    -- What comes later than DateTime64(9) can say is put just before its end, where windows still reach.
    (ns -> fromUnixTimestamp64Nano(toInt64(least(ns, toUInt64(9223372035999999999))), 'UTC')) AS time_ns,
    ((tenant, resource) -> multiIf(tenant != '', tenant, resource['spanledger.tenant'] != '', resource['spanledger.tenant'], 'default')) AS tenant_name
