"""Lists of spans: every filter finds what a plain filter in Python finds; pages neither lose nor repeat a span."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_rows import NOON, SECOND, write_rows
from spanledger.stats import canonical_spans, received_spans
from spanledger.stats.found_spans import found
from spanledger.stats.span_filters import SpanFilter
from spanledger.stats.times import Window
from spanledger.store.client import Store

COUNT = 90
INTERPRETED = 2**63  # a version above those of the view over otel_traces, which tells these spans too
HOUR = 3600 * SECOND
TENANT = "found-spans"
VALUES: dict[str, list[str]] = {
    "trace": ["t1", "t2", "t3", "nothing"],
    "span": ["s1", "s2", "nothing"],
    "service": ["web", "batch"],
    "name": ["chat", "tool"],
    "role": ["inference", "tool", "agent"],
    "model": ["gpt-4o", "claude"],
    "status": ["ok", "error"],
    "user": ["ada", "bob", "nobody"],
    "conversation": ["c1", "c2"],
    "message": ["m1", "m2"],
    "response": ["r1", "r2"],
    "correlation": ["k1"],
    "tool": ["search"],
}


class Data:
    """Spans of three days: some told twice, the last telling wins; some received twice."""

    def __init__(self, store: Store) -> None:
        rng = random.Random(5)
        canonical, raw = [], []
        self.all: list[dict[str, Any]] = []
        for n in range(COUNT):
            at = NOON - rng.randrange(72) * HOUR - rng.randrange(3600) * SECOND + n
            said = self._said(rng, n, at)
            if rng.random() < 0.2:
                said["started_at"] = at - at % (12 * HOUR)  # several start at the same moment
            self.all.append(said)
            team = rng.choice(["", "sales", "search"])
            said["team"] = team
            row = {
                "tenant": TENANT,
                "trace_id": said["trace"],
                "span_id": said["span"],
                "span_name": said["name"],
                **{name: said[name] for name in ("service", "role", "status", "tool", "started_at", "duration_ns")},
                **{f"{name}_id": said[name] for name in ("user", "conversation", "message", "response", "correlation")},
                said["told_as"]: said["model"],
                "version": INTERPRETED + 2,
            }
            canonical.append(row)
            if rng.random() < 0.4:  # what an earlier telling said does not hold
                other = self._said(rng, n, at)
                earlier = {name: other[name] for name in ("role", "status", "tool")} | {"user_id": other["user"]}
                canonical.append(
                    {**row, **earlier, "version": INTERPRETED + 1, "started_at": at + rng.randrange(-9, 9) * HOUR}
                )
            received = {
                "Tenant": TENANT,
                "TraceId": said["trace"],
                "SpanId": said["span"],
                "ServiceName": said["service"],
                "SpanName": said["name"],
                "Timestamp": said["started_at"],
                "Duration": said["duration_ns"],
                "SpanAttributes": {"team": team} if team else {},
            }
            raw += [received] * rng.choice([1, 1, 2])
        write_rows(store, "genai_spans", canonical)
        calls = [row for row in canonical if row["role"] == "inference"]
        kept = [{"tenant": TENANT, "started_at": call["started_at"], "kind": "call"} for call in calls]
        models = [call.get("request_model") or call.get("response_model", "") for call in calls]
        write_rows(store, "calls_by_time", [row | {"model": model} for row, model in zip(kept, models, strict=True)])
        write_rows(store, "otel_traces", raw)
        write_rows(store, "genai_spans", [{**row, "tenant": "others"} for row in canonical[:9]])
        write_rows(store, "otel_traces", [{**row, "Tenant": "others"} for row in raw[:9]])

    def _said(self, rng: random.Random, n: int, at: int) -> dict[str, Any]:
        role = rng.choice(["", "inference", "tool", "agent"])
        return {
            "trace": f"t{n % 17}",
            "span": f"s{n}",
            "service": rng.choice(["web", "batch"]),
            "name": rng.choice(["chat", "tool", "other"]),
            "role": role,
            "model": rng.choice(["gpt-4o", "claude"]) if role == "inference" else "",
            "told_as": rng.choice(["request_model", "response_model"]),
            "status": rng.choice(["ok", "ok", "error"]),
            "user": rng.choice(["", "", "ada", "bob"]),
            "conversation": rng.choice(["", "c1", "c2"]),
            "message": rng.choice(["", "", "m1", "m2"]),
            "response": rng.choice(["", "r1", "r2", "r3"]),
            "correlation": rng.choice(["", "", "k1"]),
            "tool": "search" if role == "tool" else "",
            "started_at": at,
            "duration_ns": rng.randrange(1, 9) * SECOND,
        }


@pytest.fixture(scope="module")
def data(store: Store) -> Data:
    return Data(store)


@pytest.fixture(scope="module", params=["few spans", "many"], autouse=True)
def _way(request: pytest.FixtureRequest) -> Iterator[None]:
    """As if ninety spans were much: looks end early, and what fits is found in several rounds."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "many":
            patch.setattr(canonical_spans, "_RECEIVED_FOR_EACH", 1)
            patch.setattr(canonical_spans, "_MAY_NOT_FIT", 0)
            patch.setattr(canonical_spans, "_MORE", 2)
            patch.setattr(canonical_spans, "_FEWEST_CALLS", 5)
            patch.setattr(received_spans, "_FIRST_LOOK_NS", 2 * HOUR)
        yield


@st.composite
def filters(draw: st.DrawFn) -> SpanFilter:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2, unique=True))
    edge = st.none() | st.integers(-74, 2).map(lambda hours: NOON + hours * HOUR)
    start, end = draw(edge), draw(edge)
    if start is not None and end is not None and start > end:
        start, end = end, start
    seconds = st.none() | st.integers(0, 9).map(lambda n: n * 1000.0)
    return SpanFilter(
        window=Window(start, end),
        equal={name: draw(st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=2)) for name in names},
        attributes=draw(st.sampled_from([{}, {}, {"team": ["search"]}, {"team": ["*"]}, {"team": ["sa*"]}])),
        least_ms=draw(seconds),
        most_ms=draw(seconds),
    )


def fits(asked: SpanFilter, said: dict[str, Any]) -> bool:
    """The plain filter."""
    inside = asked.window.first_ns <= said["started_at"] <= asked.window.last_ns
    equal = all(said[name] in values for name, values in asked.equal.items())
    team = said["team"]
    attributes = all(
        team and any(team == v or (v.endswith("*") and team.startswith(v[:-1])) for v in values)
        for values in asked.attributes.values()
    )
    took_ms = said["duration_ns"] / 1_000_000
    within = (asked.least_ms is None or took_ms >= asked.least_ms) and (
        asked.most_ms is None or took_ms <= asked.most_ms
    )
    return bool(inside and equal and attributes and within)


@settings(max_examples=40)
@given(asked=filters(), limit=st.integers(1, 40))
def test_filters_find_what_a_plain_filter_finds(store: Store, data: Data, asked: SpanFilter, limit: int) -> None:
    wanted = [said for said in data.all if fits(asked, said)]
    page = found(store, TENANT, asked, limit)
    listed = list(page.items)
    while page.next_cursor:
        assert len(page.items) == limit
        page = found(store, TENANT, asked, limit, page.next_cursor)
        assert page.items
        listed += page.items
    order = sorted(wanted, key=lambda said: (said["started_at"], said["trace"], said["span"]), reverse=True)
    assert [(one.trace_id, one.span_id) for one in listed] == [(said["trace"], said["span"]) for said in order]
    told = {said["span"]: said for said in wanted}
    for one in listed:
        assert one.user_id == told[one.span_id]["user"]
        assert one.status == told[one.span_id]["status"]
