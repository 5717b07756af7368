"""What a reader missed, read back from ClickHouse in the order and with the places that the events had live."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spanledger.foreign import json_text
from spanledger.live.event import Cursor, Event, Filter, Place
from spanledger.live.postings import Postings
from spanledger.live.shapes import RECORDS, Shapes, SpanView, recorded, replayed
from spanledger.store import queries
from spanledger.store.client import Store
from spanledger.telemetry import semconv

PAGE = 20_000  # events per page; a reader that missed more asks again
_FOREVER = 2**63 - 1
_SKEW_MS = 60_000


@dataclass(frozen=True)
class Page:
    """Events in order, their cursors set. `whole`: nothing more was missed."""

    events: list[Event]
    whole: bool


class Missed:
    """Reads events back. `service` is our own `service.name`."""

    def __init__(self, store: Store, postings: Postings, service: str, page: int = PAGE) -> None:
        self._store = store
        self._postings = postings
        self._service = service
        self._page = page

    def since(
        self, wanted: Filter, cursor: Cursor, booked_until_us: int, running: Iterable[Event], seen: set[tuple[Any, ...]]
    ) -> Page:
        """What came after `cursor`: emitted, and posted until `booked_until_us`. `running` are starts of spans that go
        on, `seen` the places of events that the reader gets otherwise. Raises StoreError."""
        emitted, emitted_until = self._emitted(wanted.tenant, cursor.emitted.at_ns)
        emitted += [event for event in running if event.tenant == wanted.tenant]
        booked, booked_until = self._postings.events(
            [wanted.tenant], cursor.booked.at_ns // 1000 - 1, booked_until_us, self._page
        )
        whole = emitted_until == _FOREVER and booked_until == booked_until_us
        until_ns = _FOREVER if whole else min(emitted_until, booked_until * 1000)
        events = heapq.merge(
            _after(emitted, cursor.emitted, until_ns), _after(booked, cursor.booked, until_ns), key=lambda e: e.place
        )
        return Page(_placed((e for e in events if (e.booked, e.place) not in seen), wanted, cursor), whole)

    def _emitted(self, tenant: str, after_ns: int) -> tuple[list[Event], int]:
        """From the moment itself on, for several events may share it; and up to where they are whole."""
        after_ns -= 1
        received_ms = max(0, after_ns // 1_000_000 - _SKEW_MS)
        parameters = {"tenant": tenant, "service": self._service, "after_ns": after_ns, "received_ms": received_ms}
        cut = self._store.scalar(queries.sql("live_cut"), {**parameters, "limit": self._page})
        until = {"until_ns": cut if cut is not None else _FOREVER}
        spans = [_view(row) for row in self._store.dicts(queries.sql("live_spans"), {**parameters, **until})]
        records = self._store.dicts(
            queries.sql("live_records"), {**parameters, **until, "names": list(RECORDS), "limit": self._page}
        )
        return [*replayed(spans, Shapes()), *_recorded(records)], until["until_ns"]


def _recorded(rows: Iterable[Mapping[str, Any]]) -> list[Event]:
    found = (
        recorded(r["name"], r["at_ns"], r["span_id"] or "0" * 16, r["trace_id"], r["body"], r["attributes"])
        for r in rows
    )
    return [event for event in found if event is not None]


def _after(events: Iterable[Event], place: Place, until_ns: int) -> list[Event]:
    """In order, each once."""
    found = {event.place: event for event in events if place < event.place and event.at_ns <= until_ns}
    return [found[key] for key in sorted(found)]


def _placed(events: Iterable[Event], wanted: Filter, cursor: Cursor) -> list[Event]:
    """Adds the cursor that a reader has after each event; then filters."""
    kept: list[Event] = []
    for event in events:
        cursor = cursor._replace(booked=event.place) if event.booked else cursor._replace(emitted=event.place)
        if wanted(event):
            event.cursor = cursor
            kept.append(event)
    return kept


def _view(row: Mapping[str, Any]) -> SpanView:
    attributes = dict(row["attributes"])
    if reasons := attributes.get(semconv.RESPONSE_FINISH_REASONS):
        attributes[semconv.RESPONSE_FINISH_REASONS] = _list(reasons)
    return SpanView(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_id=row["parent_id"],
        start_ns=row["start_ns"],
        end_ns=row["end_ns"],
        failed=row["status"].lower().endswith("error"),
        message=row["message"],
        attributes=attributes,
    )


def _list(text: str) -> list[str]:
    try:
        found = json_text.loads(text)
    except ValueError:
        return [text]
    return found if isinstance(found, list) else [text]
