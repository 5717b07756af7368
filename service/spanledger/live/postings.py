"""Events from the books: `usage` of every message, and the calls and tools of other services.

Foreign spans are not seen as they happen; they become events when they are settled, by then read in canonical names,
counted once, and with the conversation and user that they inherit. A view over the ledger, ordered by posting.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from spanledger.live.event import Event
from spanledger.live.shapes import priority
from spanledger.stats.times import format_time, milliseconds
from spanledger.stats.usage import decimal_text, usage_of
from spanledger.store import queries
from spanledger.store.client import Store

Row = Mapping[str, Any]


class Postings:
    """Reads the events of postings. `service` is our own, whose spans were events already."""

    def __init__(self, store: Store, service: str) -> None:
        self._store = store
        self._service = service

    def posted(self, after_us: int) -> tuple[list[str], int]:
        """The tenants with new postings since, and the time of the last posting."""
        rows = self._store.query(
            "SELECT tenant, toUnixTimestamp64Micro(max(posted_at)) FROM ledger "
            "WHERE posted_at > fromUnixTimestamp64Micro({after_us:Int64}, 'UTC') GROUP BY tenant",
            {"after_us": after_us},
        )
        return sorted(tenant for tenant, _ in rows), max((last for _, last in rows), default=after_us)

    def events(self, tenants: Sequence[str], after_us: int, until_us: int, limit: int) -> tuple[list[Event], int]:
        """The events of (after_us, until_us] in order, and up to where they are whole: some more than `limit` at once
        can be too many. Raises StoreError."""
        bounds = {"tenants": list(tenants), "after_us": after_us, "until_us": until_us}
        rows = self._store.dicts(queries.sql("live_postings"), {**bounds, "limit": limit})
        reached = rows[-1]["posted_us"] if len(rows) >= limit else until_us
        foreign = self._store.dicts(
            queries.sql("live_entries"), {**bounds, "until_us": reached, "service": self._service}
        )
        found = [_usage(row) for row in rows]
        found += self._foreign(foreign)
        return sorted(found, key=lambda event: event.place), reached

    def _foreign(self, rows: Sequence[Row]) -> list[Event]:
        errors = self._errors([row for row in rows if row["status_"] == "error"])
        took = self._durations([row for row in rows if row["kind"] == "message"])
        events: list[Event] = []
        for row in rows:
            error = errors.get(row["span_id"] or row["trace_id"], "unknown")
            if row["kind"] == "call":
                events.append(_event("model_response", row, _call(row, error)))
            elif row["kind"] == "tool":
                events.append(_event("tool_called", row, {"tool": row["tool_"], **_ended(row, error)}))
            else:
                events += _message(row, error, took.get(row["message"], 0))
        return events

    def _errors(self, rows: Sequence[Row]) -> dict[str, str]:
        """Error types by span id, and the first of a trace by trace id."""
        if not rows:
            return {}
        found = self._store.query(
            "SELECT trace_id, span_id, error_type FROM genai_spans FINAL WHERE tenant IN {tenants:Array(String)} "
            "AND trace_id IN {traces:Array(String)} AND error_type != '' ORDER BY started_at DESC",
            {"tenants": list({row["tenant"] for row in rows}), "traces": list({row["trace_id"] for row in rows})},
        )
        types: dict[str, str] = {}
        for trace_id, span_id, error_type in found:
            types[trace_id] = types[span_id] = error_type
        return types

    def _durations(self, rows: Sequence[Row]) -> dict[str, int]:
        if not rows:
            return {}
        found = self._store.query(
            "SELECT message_id, duration_ns FROM messages FINAL WHERE tenant IN {tenants:Array(String)} "
            "AND message_id IN {messages:Array(String)}",
            {"tenants": list({row["tenant"] for row in rows}), "messages": list({row["message"] for row in rows})},
        )
        return dict(found)


def _usage(row: Row) -> Event:
    facts = {
        "message_id": row["message_id"],
        **({"workflow": row["workflow"]} if row["workflow"] else {}),
        "usage": asdict(usage_of(row)),
    }
    source = _hash(row["conversation_id"], row["message_id"])
    return _booked("usage", row, row["conversation_id"], row["user_id"], source, facts)


def _event(kind: str, row: Row, facts: dict[str, Any]) -> Event:
    known = {
        "at": format_time(row["started_ns"] + row["took_ns"]),
        "message_id": row["message_id_"],
        "workflow": row["workflow_"],
        "agent": row["agent_"],
        "service": row["service_"],
        "span_id": row["span_id"],
    }
    source = _hash(row["trace_id"], row["span_id"], row["message"])
    present = {name: value for name, value in known.items() if value}
    return _booked(kind, row, row["conversation"], row["user"], source, {**present, **facts})


def _booked(kind: str, row: Row, conversation: str, user: str, source: str, facts: Mapping[str, Any]) -> Event:
    return Event(
        kind,
        row["posted_us"] * 1000,
        source,
        row["tenant"],
        row["trace_id"],
        conversation,
        user,
        lambda: facts,
        booked=True,
    )


def _call(row: Row, error: str) -> dict[str, Any]:
    served = bool(row["served"])
    return {
        "operation": row["operation_"],
        "provider": row["provider_"],
        "model": row["model_"],
        "tokens": row["input"] + row["output"] if served else None,
        "input_tokens": row["input"] if served else None,
        "output_tokens": row["output"] if served else None,
        "cost": decimal_text(row["cost"]) if row["state"] not in ("", "unpriced") else None,
        "estimated": row["state"] == "estimated",
        **_ended(row, error),
    }


def _ended(row: Row, error: str) -> dict[str, Any]:
    ended = {"ms": milliseconds(row["took_ns"]), "status": row["status_"]}
    return {**ended, "error": {"type": error, "message": ""}} if row["status_"] == "error" else ended


def _message(row: Row, error: str, took_ns: int) -> list[Event]:
    """A message of another service starts and ends with the first posting about it."""
    began = {"at": format_time(row["started_ns"])}
    ended = {"at": format_time(row["started_ns"] + took_ns), "ms": milliseconds(took_ns), "status": row["status_"]}
    if row["status_"] != "error":
        return [_event("workflow_started", row, began), _event("workflow_completed", row, ended)]
    failed = {**ended, "error": {"type": error, "message": ""}, "priority": priority(error)}
    return [_event("workflow_started", row, began), _event("workflow_failed", row, failed)]


def _hash(*parts: str) -> str:
    """What tells a posting from others, in characters that an id may have."""
    return hashlib.blake2s("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
