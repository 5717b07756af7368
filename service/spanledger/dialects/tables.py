"""The tables of clickhouse/dialects: the meaning of attributes in every dialect.

Two readers: the view over otel_traces keeps the attributes that any table names (`view_sql`, committed under
clickhouse/views), and `interpret` turns them into canonical columns.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import yaml

from spanledger import resources
from spanledger.dialects.shapes import MAX_TEXT, REQUEST_WORDS, SHAPE
from spanledger.dialects.words import FLAT_COUNTS, INPUT_WORDS, MAX_MODEL, OUTPUT_WORDS

RESOURCE = "resource:"  # facts of the resource
EVENT = "event:"  # facts of the span's events
NAME = "name:"  # what the name of a span says by how it begins
STATUS_MESSAGE = "status:message"
FIRST_TOKEN = "First Token Stream Event"

# Columns of otel_traces that every step of the view passes on.
_PLAIN = (
    *("Timestamp", "TraceId", "SpanId", "ParentSpanId", "SpanName", "ServiceName", "ScopeName", "Duration"),
    *("Tenant", "Batch", "ReceivedAt"),
)
OWN_SCOPE = "spanledger"  # our own service's instrumentation; the door reserves it (ingest/claims.py)
IMPORT_SCOPE = f"{OWN_SCOPE}.imports"  # history, as old as it may be
IMPORT_MS = "spanledger.import.at_ms"  # when it was imported: a later import of the same message stands, as a whole
_LATEST_MS = 2**43  # in the year 2248
_OURS = 2**62  # of two spans with the same ids that of our own service stands, however long the other is
USAGE_FIELDS = ("input_tokens", "output_tokens", "usage_object")  # fields of usage in places that tables name
NO_VALUES = "'', 'None', 'none', 'null', 'undefined'"  # what languages write where there is none, in SQL
_COUNT_ENDINGS = ("tokens", "Tokens", "token_count", "TokenCount")  # of keys that hold one count
_VIEW_HEADER = """\
-- genai_spans_mv: every span lands in genai_spans with the attributes that clickhouse/dialects names (column facts);
-- settlement reads what they mean (dialects/interpreter.py) and writes the row again, in canonical names.
-- Generated from clickhouse/dialects by `python -m spanledger.dialects.tables`; do not edit.
CREATE MATERIALIZED VIEW IF NOT EXISTS genai_spans_mv TO genai_spans AS
"""


class Tables:
    """The YAML files, indexed for look-ups. Made once: `tables()`."""

    def __init__(self, files: Mapping[str, Any]) -> None:
        self.fields: dict[str, dict[str, Any]] = dict(files["fields"]["fields"])
        self.kinds: list[dict[str, Any]] = files["operations"]
        self.objects: dict[str, Any] = files["objects"]
        self.providers: dict[str, Any] = files["providers"]
        self.dialects: dict[str, Any] = files["dialects"]
        self.common = frozenset(files["fields"]["common"])
        self.idle = frozenset(files["fields"]["idle"])
        self.per_span = {*files["fields"]["per_span"]}
        self.key_patterns: dict[str, str] = files["fields"]["key_patterns"]
        prefixes: Sequence[str] = files["fields"]["metadata_prefixes"]
        encoded = tuple(files["fields"]["json_encoded"])
        for number, kind in enumerate(self.kinds):
            self.fields[f"kind_{number}"] = {"keys": kind["keys"]}
        self.keys = _ranked_keys(self.fields, prefixes)
        # of keys `name:scope|beginning`
        self.by_name = [(k, *k[len(NAME) :].split("|", 1)) for k in sorted(self.keys) if k.startswith(NAME)]
        self.resource_fields = frozenset(name for name, field in self.fields.items() if field.get("resource"))
        self.json_encoded = encoded  # values under these prefixes may be JSON texts themselves: they arrive in quotes
        self.counts = [n for n in self.fields if n.endswith("_tokens") or n == "cache_write_5m"]
        self.per_span |= set(self.counts)
        self.inside = {
            name: [_place(p) for p in field["inside"]] for name, field in self.fields.items() if "inside" in field
        }
        self._patterns = [(re.compile(pattern), word) for pattern, word in self.key_patterns.items()]
        self.place = lru_cache(maxsize=10_000)(self._find)

    def _find(self, key: str) -> tuple[str, int] | None:
        """Field and rank (0 = best) of an attribute key."""
        found = self.keys.get(key)
        if found is None:
            for pattern, word in self._patterns:
                if pattern.match(key):
                    return self.keys.get(pattern.sub(word, key))
        return found


def _place(path: str) -> tuple[str, str]:
    name, _, fact = path.partition(".")
    return name, fact


def _ranked_keys(fields: Mapping[str, Mapping[str, Any]], prefixes: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Attribute key → field and rank. ValueError for a key in two fields; spread metadata gives way to others."""
    ranked: dict[str, tuple[str, int]] = {}
    for name, field in fields.items():
        for rank, key in enumerate(dict.fromkeys(field.get("keys", ()))):
            if key in ranked:
                raise ValueError(f"{key} stands in two fields: {ranked[key][0]} and {name}")
            ranked[key] = (name, rank)
    for name, field in fields.items():
        start = len(field.get("keys", ()))
        spread = [prefix + word for word in field.get("metadata", ()) for prefix in prefixes]
        for rank, key in enumerate(spread, start):
            ranked.setdefault(key, (name, rank))
    return ranked


@cache
def tables() -> Tables:
    """The tables of this installation."""
    folder = resources.folder("clickhouse") / "dialects"
    return Tables({path.stem: yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))})


def view_sql() -> str:
    """The view's file."""
    return _VIEW_HEADER + facts_sql("otel_traces") + "\n"


def facts_sql(source: str) -> str:
    """The SELECT from raw spans (`source`: a table, or a sub-query in brackets) to rows of genai_spans with facts."""
    known = tables()
    exact = ", ".join(_quote(key) for key in known.keys if "*" not in key and not key.startswith((EVENT, NAME)))
    names = "".join(
        f"if(startsWith(SpanName, {_quote(begin)}) AND startsWith(ScopeName, {_quote(scope)}), "
        f"[({_quote(key)}, substring(SpanName, {len(begin) + 1}))], []),"
        for key, scope, begin in known.by_name
    )
    in_events = ", ".join(_quote(key[len(EVENT) :]) for key in known.keys if key.startswith(EVENT))
    usage = ", ".join(_quote(key) for key, (field, _) in known.keys.items() if field in USAGE_FIELDS and "*" not in key)
    words = ", ".join(map(_quote, (*INPUT_WORDS, *OUTPUT_WORDS)))
    # A count by its key's ending, or a text in which usage may stand. Only spans without a known count are searched,
    # and of those only what holds a part that each word for tokens has: most values cost one comparison.
    looks = " OR ".join(f"endsWith(k, {_quote(ending)})" for ending in _COUNT_ENDINGS)
    looks += f" OR match(k, {_quote('|'.join(FLAT_COUNTS))})"
    request_words = ", ".join(map(_quote, REQUEST_WORDS))
    looks += (
        f" OR (length(v) BETWEEN 20 AND {MAX_TEXT} AND NOT startsWith(k, 'input')"
        f" AND NOT multiSearchAny(k, [{request_words}]) AND multiSearchAnyCaseInsensitive(v, [{words}]))"
    )
    patterns = _quote("|".join(known.key_patterns))
    is_worth_keeping = " AND ".join(
        f"(k NOT IN [{', '.join(map(_quote, field['keys']))}] OR (length(v) <= {MAX_TEXT} AND multiSearchAny(v, "
        f"[{', '.join(map(_quote, field['holding']))}])))"
        for field in known.fields.values()
        if "holding" in field
    )
    # Few keys begin like a pattern, and comparing beginnings is cheap.
    beginnings = " OR ".join(f"startsWith(k, {_quote(b)})" for b in sorted(set(map(_beginning, known.key_patterns))))
    idle = ", ".join(_quote(key) for key, (field, _) in known.keys.items() if field in known.idle and "*" not in key)
    of_resource = ", ".join(_quote(key) for key, (field, _) in known.keys.items() if field in known.resource_fields)
    plain = ", ".join(_PLAIN)
    of_event = "(" + re.sub(r"\bv\b", "e.2", re.sub(r"\bk\b", "e.1", looks)) + ")"
    # In steps, each a sub-query: a name that stands for an expression would be analysed anew wherever it is used.
    return f"""\
SELECT
    Tenant AS tenant, TraceId AS trace_id, SpanId AS span_id, ParentSpanId AS parent_span_id,
    bitOr(bitShiftLeft(if(import_ms > 0, import_ms, toUInt64(intDiv(duration_ns, 1000000))), 16),
        bitAnd(cityHash64(ParentSpanId, Timestamp, Duration, ServiceName, ScopeName, SpanName, status, facts),
            65534)) + if(startsWith(ScopeName, '{OWN_SCOPE}'), {_OURS}, 0) AS version,
    Timestamp AS started_at, duration_ns,
    ServiceName AS service, ScopeName AS scope, SpanName AS span_name, status,
    facts, 1 AS arrived, empty(facts) AS normalised,
    arrayFilter(a -> a != '', [
        multiIf(Timestamp > ReceivedAt + INTERVAL 1 DAY, 'clock:future',
            Timestamp < ReceivedAt - INTERVAL 1 YEAR AND ScopeName != '{IMPORT_SCOPE}', 'clock:past', ''),
        if(is_endless, 'huge:duration', ''),
        if(TraceId = '', 'empty:trace_id', ''),
        if(SpanId = '', 'empty:span_id', '')]) AS anomalies,
    Batch AS batch, ReceivedAt AS received_at
FROM
(
    SELECT {plain}, import_ms, status, is_endless, if(is_endless, 0, toInt64(Duration)) AS duration_ns,
        if(status != 'error' AND NOT startsWith(ScopeName, 'openlit')
            AND arrayAll(k -> k IN [{idle}], mapKeys(kept)),
            CAST(map(), 'Map(LowCardinality(String), String)'), kept) AS facts
    FROM
    (
        SELECT {plain}, import_ms, status, Duration > 31622400000000000 AS is_endless,
            CAST(arrayConcat(
                arrayZip(mapKeys(of_span)::Array(String), mapValues(of_span)),
                arrayMap((k, v) -> (concat('{RESOURCE}', k), v),
                    mapKeys(of_resource)::Array(String), mapValues(of_resource)),
                arrayMap((k, v) -> (concat('{SHAPE}', k), v), mapKeys(of_shape)::Array(String), mapValues(of_shape)),
                arrayMap((k, v) -> (concat('{SHAPE}', k), v), mapKeys(of_model)::Array(String), mapValues(of_model)),
                of_events,
                {names}
                if(empty(event_names), [], arrayFilter(e -> e.2 != '', [
                    ('{EVENT}exception.type',
                        Events.Attributes[indexOf(Events.Name, 'exception')]['exception.type']),
                    ('{EVENT}finish_reason',
                        Events.Attributes[indexOf(Events.Name, 'gen_ai.choice')]['finish_reason']),
                    ('{EVENT}first_token_ns', if(has(event_names, '{FIRST_TOKEN}'), toString(
                        toUnixTimestamp64Nano(Events.Timestamp[indexOf(Events.Name, '{FIRST_TOKEN}')])
                            - toUnixTimestamp64Nano(Timestamp)), ''))
                ])),
                if(status = 'error' AND StatusMessage != '',
                    [('{STATUS_MESSAGE}', substringUTF8(toValidUTF8(substring(StatusMessage, 1, 1200)), 1, 300))], [])),
                'Map(LowCardinality(String), String)') AS kept
        FROM
        (
            SELECT {plain}, if(ScopeName = '{IMPORT_SCOPE}',
                    least(toUInt64OrZero(SpanAttributes['{IMPORT_MS}']), {_LATEST_MS}), 0) AS import_ms,
                StatusMessage, Events.Name, Events.Timestamp, Events.Attributes,
                mapFilter((k, v) -> v NOT IN ({NO_VALUES}) AND (k IN [{exact}]
                    OR (({beginnings}) AND match(k, {patterns}))) AND {is_worth_keeping}, SpanAttributes) AS of_span,
                mapFilter((k, v) -> v != '' AND k IN [{of_resource}], ResourceAttributes) AS of_resource,
                NOT arrayExists(k -> k IN [{usage}], mapKeys(of_span)) AS is_silent,
                mapFilter((k, v) -> is_silent AND (position(k, 'oken') > 0 OR position(v, 'oken') > 0
                    OR position(v, 'eval_count') > 0 OR endsWith(k, 'eval_count')
                    OR position(k, 'sage.') > 0), SpanAttributes) AS of_tokens,
                mapFilter((k, v) -> k NOT IN [{exact}] AND ({looks}), of_tokens) AS of_shape,
                mapFilter((k, v) -> notEmpty(of_shape) AND position(k, 'odel') > 0 AND v != ''
                    AND length(v) <= {MAX_MODEL} AND k NOT IN [{exact}], SpanAttributes) AS of_model,
                if(is_silent AND notEmpty(Events.Name), arrayMap(
                    e -> (concat(if(e.1 IN [{in_events}], '{EVENT}', '{SHAPE}'), e.1), e.2),
                    arrayFilter(e -> e.2 NOT IN ({NO_VALUES}) AND (e.1 IN [{in_events}] OR {of_event}),
                        arrayFlatten(arrayMap(
                            m -> arrayZip(mapKeys(m)::Array(String), mapValues(m)), Events.Attributes)))),
                    CAST([], 'Array(Tuple(String, String))')) AS of_events,
                arrayFilter(n -> n IN ('exception', 'gen_ai.choice', '{FIRST_TOKEN}'), Events.Name) AS event_names,
                transform(lower(replaceOne(StatusCode, 'STATUS_CODE_', '')), ['ok', '1', 'error', '2'],
                    ['ok', 'ok', 'error', 'error'], 'unset') AS status
            FROM {source}
        )
    )
)"""


def _beginning(pattern: str) -> str:
    """The literal text that every match of a pattern starts with."""
    found = re.match(r"\^((?:\\\.|\w)+)", pattern)
    return found[1].replace("\\.", ".") if found else ""


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def main() -> None:
    """Writes the view's file."""
    file = resources.folder("clickhouse") / "views" / "genai_spans_mv.sql"
    before, text = file.read_text(), view_sql()
    file.write_text(text)
    print(f"{file}: {'as before' if text == before else 'written; restart `spanledger up` to use it'}")


if __name__ == "__main__":
    main()
