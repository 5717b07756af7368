"""What the view keeps of a raw span is all that its reading needs."""

import re
from typing import Any

from captures import all_captures
from otlp_rows import COLUMNS, Row, rows
from spanledger.dialects.interpreter import interpreter
from spanledger.dialects.tables import EVENT, FIRST_TOKEN, RESOURCE, SHAPE, STATUS_MESSAGE, USAGE_FIELDS, tables
from spanledger.store.client import Store

_IN_EVENTS = frozenset(key for key in tables().keys if key.startswith(EVENT))
_FACTS = """
SELECT trace_id, span_id, facts, scope, span_name, status, duration_ns, anomalies,
    toUnixTimestamp64Nano(started_at) AS started_at_ns
FROM genai_spans WHERE tenant = {tenant:String} AND arrived = 1
ORDER BY trace_id, span_id, version LIMIT 1 BY trace_id, span_id
"""


def test_reading_what_the_view_kept_is_reading_the_whole_span(store: Store, tenant: str) -> None:
    sent = [
        row
        for capture in all_captures()
        for content_type, body in capture.bodies
        for row in rows(body, content_type, tenant)
    ]
    store.insert("otel_traces", COLUMNS, [[row[name] for name in COLUMNS] for row in sent])
    kept = {(row["trace_id"], row["span_id"]): row for row in store.dicts(_FACTS, {"tenant": tenant})}
    different = {}
    for row in sent:
        whole = interpreter().columns(_as_the_view_has_it(row))
        read = interpreter().columns(kept[row["TraceId"], row["SpanId"]])
        if read != whole:
            different[row["SpanName"]] = {k: (v, read.get(k)) for k, v in whole.items() if v != read.get(k)}
    assert different == {}


STRANGER = {"acme.vendor": "openai", "acme.model": "gpt-4o-mini", "acme.usage.prompt_tokens": "12", "acme.n": "1"}


def test_the_model_beside_usage_that_no_table_names_is_kept(store: Store, tenant: str) -> None:
    content_type, body = next(capture.bodies[0] for capture in all_captures() if capture.bodies)
    row = next(iter(rows(body, content_type, tenant))) | {"Events.Name": [], "Events.Attributes": [], "ScopeName": "x"}
    row |= {"Events.Timestamp": [], "ResourceAttributes": {}, "SpanName": "ask"}
    used = STRANGER | {"acme.usage.completion_tokens": "5"}
    sent = [row | {"SpanId": "a", "SpanAttributes": used}, row | {"SpanId": "b", "SpanAttributes": {"acme.model": "x"}}]
    store.insert("otel_traces", COLUMNS, [[one[name] for name in COLUMNS] for one in sent])
    kept = {one["span_id"]: one for one in store.dicts(_FACTS, {"tenant": tenant})}
    assert kept["b"]["facts"] == {}
    read = interpreter().columns(kept["a"])
    assert (read["role"], read["response_model"], read["input_tokens"]) == ("inference", "gpt-4o-mini", 12)


def _as_the_view_has_it(row: Row) -> dict[str, Any]:
    """The raw row with every attribute it has, in the form that the interpreter reads."""
    facts = dict(row["SpanAttributes"]) | {RESOURCE + k: v for k, v in row["ResourceAttributes"].items()}
    known = tables().keys
    is_silent = not any(key in known and known[key][0] in USAGE_FIELDS for key in row["SpanAttributes"])
    if is_silent:  # its usage may stand under keys that no table names
        facts |= {SHAPE + key: value for key, value in row["SpanAttributes"].items() if key not in known}
    for name, attributes, at in zip(row["Events.Name"], row["Events.Attributes"], row["Events.Timestamp"], strict=True):
        if name == "exception":
            facts.setdefault(EVENT + "exception.type", attributes.get("exception.type", ""))
        if name == "gen_ai.choice":
            facts.setdefault(EVENT + "finish_reason", attributes.get("finish_reason", ""))
        if name == FIRST_TOKEN:
            facts.setdefault(EVENT + "first_token_ns", str(at - row["Timestamp"]))
        for key, value in attributes.items() if is_silent else ():
            facts.setdefault((EVENT if EVENT + key in _IN_EVENTS else SHAPE) + key, value)
    if row["StatusCode"] == "Error":
        facts[STATUS_MESSAGE] = row["StatusMessage"]
    return {
        "facts": {key: value for key, value in facts.items() if not re.fullmatch("|None|null", value)},
        "scope": row["ScopeName"],
        "span_name": row["SpanName"],
        "status": row["StatusCode"].lower(),
        "duration_ns": row["Duration"],
        "started_at_ns": row["Timestamp"],
        "anomalies": [],
    }
