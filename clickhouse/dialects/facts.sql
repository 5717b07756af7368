-- Rows of otel_traces → rows of genai_spans, with the attributes that the tables of this folder name as `facts`:
-- the SELECT of view genai_spans_mv, and of audits. dialects/tables.py puts values in the place of ${…}.
-- In steps, each a sub-query: a name that stands for an expression would be analysed anew wherever it is used.
SELECT
    Tenant AS tenant, TraceId AS trace_id, SpanId AS span_id, ParentSpanId AS parent_span_id,
    bitOr(bitShiftLeft(if(import_ms > 0, import_ms, toUInt64(intDiv(duration_ns, 1000000))), 16),
        bitAnd(cityHash64(ParentSpanId, Timestamp, Duration, ServiceName, ScopeName, SpanName, status, facts),
            65534)) + if(startsWith(ScopeName, '${own_scope}'), ${ours}, 0) AS version,
    Timestamp AS started_at, duration_ns,
    ServiceName AS service, ScopeName AS scope, SpanName AS span_name, status,
    facts, 1 AS arrived, empty(facts) AS normalised,
    arrayFilter(a -> a != '', [
        multiIf(Timestamp > ReceivedAt + INTERVAL 1 DAY, 'clock:future',
            Timestamp < ReceivedAt - INTERVAL 1 YEAR AND ScopeName != '${import_scope}', 'clock:past', ''),
        if(is_endless, 'huge:duration', ''),
        if(TraceId = '', 'empty:trace_id', ''),
        if(SpanId = '', 'empty:span_id', '')]) AS anomalies,
    Batch AS batch, ReceivedAt AS received_at
FROM
(
    SELECT ${plain}, import_ms, status, is_endless, if(is_endless, 0, toInt64(Duration)) AS duration_ns,
        if(status != 'error' AND NOT startsWith(ScopeName, 'openlit')
            AND arrayAll(k -> k IN [${idle}], mapKeys(kept)),
            CAST(map(), 'Map(LowCardinality(String), String)'), kept) AS facts
    FROM
    (
        SELECT ${plain}, import_ms, status, Duration > 31622400000000000 AS is_endless,
            CAST(arrayConcat(
                arrayZip(mapKeys(of_span)::Array(String), mapValues(of_span)),
                arrayMap((k, v) -> (concat('${resource}', k), v),
                    mapKeys(of_resource)::Array(String), mapValues(of_resource)),
                arrayMap((k, v) -> (concat('${shape}', k), v), mapKeys(of_shape)::Array(String), mapValues(of_shape)),
                arrayMap((k, v) -> (concat('${shape}', k), v), mapKeys(of_model)::Array(String), mapValues(of_model)),
                of_events,
                ${names}
                if(empty(event_names), [], arrayFilter(e -> e.2 != '', [
                    ('${event}exception.type',
                        Events.Attributes[indexOf(Events.Name, 'exception')]['exception.type']),
                    ('${event}finish_reason',
                        Events.Attributes[indexOf(Events.Name, 'gen_ai.choice')]['finish_reason']),
                    ('${event}first_token_ns', if(has(event_names, '${first_token}'), toString(
                        toUnixTimestamp64Nano(Events.Timestamp[indexOf(Events.Name, '${first_token}')])
                            - toUnixTimestamp64Nano(Timestamp)), ''))
                ])),
                if(status = 'error' AND StatusMessage != '',
                    [('${status_message}', substringUTF8(toValidUTF8(substring(StatusMessage, 1, 1200)), 1, 300))], [])),
                'Map(LowCardinality(String), String)') AS kept
        FROM
        (
            SELECT ${plain}, if(ScopeName = '${import_scope}',
                    least(toUInt64OrZero(SpanAttributes['${import_ms_key}']), ${latest_ms}), 0) AS import_ms,
                StatusMessage, Events.Name, Events.Timestamp, Events.Attributes,
                mapFilter((k, v) -> v NOT IN (${no_values}) AND (k IN [${exact}]
                    OR ((${beginnings}) AND match(k, ${patterns}))) AND ${is_worth_keeping}, SpanAttributes) AS of_span,
                mapFilter((k, v) -> v != '' AND k IN [${of_resource}], ResourceAttributes) AS of_resource,
                NOT arrayExists(k -> k IN [${usage}], mapKeys(of_span)) AS is_silent,
                mapFilter((k, v) -> is_silent AND (position(k, 'oken') > 0 OR position(v, 'oken') > 0
                    OR position(v, 'eval_count') > 0 OR endsWith(k, 'eval_count')
                    OR position(k, 'sage.') > 0), SpanAttributes) AS of_tokens,
                mapFilter((k, v) -> k NOT IN [${exact}] AND (${looks}), of_tokens) AS of_shape,
                mapFilter((k, v) -> notEmpty(of_shape) AND position(k, 'odel') > 0 AND v != ''
                    AND length(v) <= ${max_model} AND k NOT IN [${exact}], SpanAttributes) AS of_model,
                if(is_silent AND notEmpty(Events.Name), arrayMap(
                    e -> (concat(if(e.1 IN [${in_events}], '${event}', '${shape}'), e.1), e.2),
                    arrayFilter(e -> e.2 NOT IN (${no_values}) AND (e.1 IN [${in_events}] OR ${of_event}),
                        arrayFlatten(arrayMap(
                            m -> arrayZip(mapKeys(m)::Array(String), mapValues(m)), Events.Attributes)))),
                    CAST([], 'Array(Tuple(String, String))')) AS of_events,
                arrayFilter(n -> n IN ('exception', 'gen_ai.choice', '${first_token}'), Events.Name) AS event_names,
                transform(lower(replaceOne(StatusCode, 'STATUS_CODE_', '')), ['ok', '1', 'error', '2'],
                    ['ok', 'ok', 'error', 'error'], 'unset') AS status
            FROM ${source}
        )
    )
)
