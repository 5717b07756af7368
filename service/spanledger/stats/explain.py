"""Where a figure comes from: the ledger's entries, the calls they are about, and how each call was read and priced.

The sum of the entries, the sum of the calls and the figure are equal to the last digit. The figure is the sum of the
entries; where a page does not have them all, that of their copy in the order of time, calls_by_time. Each entry is
about one call. What the books should say is computed anew from the spans and stands beside it, so that an explanation
is at the same time an audit of what it explains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from spanledger.books.costs import Prices
from spanledger.errors import BadRequest, NotFound
from spanledger.stats import finding
from spanledger.stats.breakdown import DIMENSIONS
from spanledger.stats.cursors import read_place, write_place
from spanledger.stats.explained_calls import ExplainedCall, explained
from spanledger.stats.explained_spans import with_copies
from spanledger.stats.times import ALL_TIME, Window, format_time
from spanledger.stats.traces import as_stored
from spanledger.stats.usage import Usage, total, usage_of
from spanledger.store import queries
from spanledger.store.client import Rows, Store
from spanledger.store.threads import ALONE, FEW_TRACES, threads_for

SUBJECTS = ("message", "conversation", "trace", "span", "user")
MAX_ENTRIES = 2_000  # of one page
_PLACE = ("began_ns", "trace_id", "span_id")
_OF_CALLS = frozenset({"provider", "model", "tool", "operation"})  # of messages they are empty
_LEDGER_ONLY = frozenset({"prompt", "variant"})  # which messages_by_user does not have
_THINGS = frozenset({"conversation", "user"})


@dataclass(frozen=True)
class Subject:
    """What is to be explained: one thing by its id, or a group of /v1/usage by its dimensions, in a window of time. A
    message may be named by the id of the response that answered it."""

    message: str = ""
    trace: str = ""
    span: str = ""
    only: Mapping[str, Sequence[str]] | None = None  # dimension → values
    window: Window = ALL_TIME

    @property
    def is_one_thing(self) -> bool:
        """It names something that is there or not; a group without entries is a figure of zero."""
        return bool(self.message or self.trace or self.span or not _THINGS.isdisjoint(self.only or ()))

    @property
    def is_empty(self) -> bool:
        return not (self.message or self.trace or self.span or self.only)


@dataclass(frozen=True)
class Entry:
    """One line of the ledger. `sign` is -1 for a line that reverses an earlier one."""

    posted_at: str
    reason: str
    run: str
    price_book: str
    sign: int
    kind: str
    trace_id: str
    span_id: str | None
    conversation_id: str
    message_id: str
    user_id: str
    provider: str
    model: str
    tool: str
    status: str
    usage: Usage
    claimed_usd: str | None
    tool_calls: int
    messages: int


@dataclass(frozen=True)
class BooksState:
    """`balanced`: the ledger says of the listed calls what their spans say now. `lag_ms`: how long spans of these
    traces wait for settlement; 0: none does."""

    settled_at: str | None
    audited_at: str
    balanced: bool
    lag_ms: int


@dataclass(frozen=True)
class Rest:
    """What this page does not list; `usage` of the page and of the rest add up to the whole."""

    entries: int
    usage: Usage


@dataclass(frozen=True)
class Explanation:
    """`usage`: the figure. `state` is `pending` while spans of it wait for settlement. `history`: what happened to the
    figure, by run: settled, late, re-priced, undone."""

    usage: Usage
    state: str
    books: BooksState
    calls: list[ExplainedCall]
    entries: list[Entry]
    history: list["Event"]
    rest: Rest | None
    next_cursor: str | None


@dataclass(frozen=True)
class Event:
    """What one run of settlement, re-pricing or repair added to the figure."""

    at: str
    reason: str
    run: str
    entries: int
    usage: Usage


def explain(
    store: Store,
    tenant: str,
    prices: Prices,
    subject: Subject,
    limit: int = 200,
    cursor: str | None = None,
) -> Explanation:
    """Raises NotFound where nothing stands behind the figure, BadRequest for a subject or cursor that is none."""
    if subject.is_empty:
        raise BadRequest(f"say what to explain: one of {', '.join((*SUBJECTS, *DIMENSIONS))}")
    filters = _filters(store, tenant, subject)
    of_page = _of_page(store, filters, limit, cursor)
    known = of_page.get("trace_ids") or _traces_of_messages(store, filters)
    is_a_page = 0 < len(known) <= max(FEW_TRACES, limit + 1)
    spans = store.soon(lambda: with_copies(store, tenant, known)) if is_a_page else None
    is_part = bool(cursor) or len(of_page.get("places", [])) > limit
    total_of_all = store.soon(lambda: _total(store, filters)) if is_part else None
    rows, more = _page(store, of_page, limit)
    if more or cursor:
        whole = total_of_all.result() if total_of_all else _total(store, filters)
    else:
        whole = _sums(rows) | {"entries": len(rows), "settled_us": max((row["posted_us"] for row in rows), default=0)}
    if subject.is_one_thing and not whole["entries"] and not _is_known(store, tenant, filters):
        raise NotFound(f"the books know nothing of {_named(subject)}")
    of_traces = {"tenant": tenant, "trace_ids": sorted({row["trace_id"] for row in rows} | set(known))}
    waiting = store.soon(lambda: store.query(queries.sql("pending_spans"), of_traces, settings=ALONE))
    of_calls = [row for row in rows if row["kind"] == "call"]
    are_known = {row["trace_id"] for row in of_calls}.issubset(known)
    calls, balanced = explained(store, tenant, prices, of_calls, spans.result() if spans and are_known else None)
    since_ms = waiting.result()[0][0]
    now = datetime.now(UTC)
    return Explanation(
        usage=usage_of(whole),
        state="pending" if since_ms else "settled",
        books=BooksState(
            settled_at=format_time(whole["settled_us"] * 1000) if whole["entries"] else None,
            audited_at=now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            balanced=balanced,
            lag_ms=max(0, int(now.timestamp() * 1000) - since_ms) if since_ms else 0,
        ),
        calls=calls,
        entries=[_entry(row) for row in rows],
        history=_history(rows),
        rest=_rest(whole, rows) if more or cursor else None,
        next_cursor=write_place([rows[-1][name] for name in _PLACE]) if more else None,
    )


def _traces_of_messages(store: Store, filters: Mapping[str, Any]) -> list[str]:
    """Of a conversation: nearly always all that have entries, so that their spans can be read beside the entries."""
    conversations = filters.get("only_conversation", [])
    if len(conversations) != 1:
        return []
    wanted = {"tenant": filters["tenant"], "conversation_ids": conversations, "limit": FEW_TRACES}
    rows = store.query(queries.sql("traces_of_conversations"), wanted, settings=ALONE)
    return [trace for _, trace in rows]


def _total(store: Store, filters: Mapping[str, Any]) -> dict[str, Any]:
    """The figure, the number of entries behind it, and when the last one was posted."""
    wanted = {**filters, "book": "ledger" if "trace_ids" in filters else "calls_by_time"}
    return store.dicts(entries_behind("explain_total", filters), wanted, settings=_few(filters))[0]


def _is_known(store: Store, tenant: str, filters: Mapping[str, Any]) -> bool:
    """Whether spans of these traces are there, although no entry is about them (yet)."""
    sql = "SELECT 1 FROM genai_spans WHERE tenant = {tenant:String} AND trace_id IN {traces:Array(String)} LIMIT 1"
    traces = filters.get("trace_ids")
    return bool(traces and store.query(sql, {"tenant": tenant, "traces": traces}, settings=ALONE))


def _named(subject: Subject) -> str:
    ids = {"message": subject.message, "trace": subject.trace, "span": subject.span}
    parts = [f"{name} {value!r}" for name, value in ids.items() if value]
    parts += [f"{name} {', '.join(map(repr, values))}" for name, values in (subject.only or {}).items()]
    return " and ".join(parts)


def _filters(store: Store, tenant: str, subject: Subject) -> dict[str, Any]:
    """The parameters that bind the subject, for `entries_behind`; traces by the shortest way that leads to them."""
    only = {name: list(values) for name, values in (subject.only or {}).items()}
    for name in only:
        if name not in DIMENSIONS:
            raise BadRequest(f"{name!r} cannot be explained by; these can: {', '.join((*SUBJECTS, *DIMENSIONS))}")
    traces: list[str] = [as_stored(subject.trace)] if subject.trace else []
    if subject.message and not traces:
        sql = "SELECT DISTINCT trace_id FROM message_usage WHERE tenant = {tenant:String} AND message_id = {id:String}"
        traces = [row[0] for row in store.query(sql, {"tenant": tenant, "id": subject.message})]
        if not traces and (named := finding.message_of_response(store, tenant, subject.message)) not in (
            None,
            subject.message,
        ):
            return _filters(store, tenant, replace(subject, message=named or ""))
    return {
        "tenant": tenant,
        **({"trace_ids": traces} if subject.trace or subject.message else {}),
        **({"message_id": subject.message} if subject.message else {}),
        **({"span_id": as_stored(subject.span)} if subject.span else {}),
        **{f"only_{name}": values for name, values in only.items() if values and name != "tenant"},
        **subject.window.bounds(),
    }


def entries_behind(name: str, filters: Mapping[str, Any]) -> str:
    """The query `name` over the entries behind a figure, with the conditions that have parameters: `trace_ids`
    (all traces that can have entries), `message_id`, `span_id`, `places`, `only_<dimension>`; always `first_ns` and
    `last_ns`."""
    named = {"trace_ids": "trace", "message_id": "message", "span_id": "span", "places": "place"}
    only = {mark for key, mark in named.items() if key in filters}
    only |= {key.removeprefix("only_") for key in filters if key.startswith("only_")}
    if (filters["first_ns"], filters["last_ns"]) != (ALL_TIME.first_ns, ALL_TIME.last_ns):
        only.add("window")
    return queries.narrowed(name, queries.marks(only=only))


def _few(filters: Mapping[str, Any]) -> dict[str, int]:
    """Entries of few traces are read by one thread sooner than they are shared out."""
    return threads_for(filters["trace_ids"]) if "trace_ids" in filters else {}


def _of_page(store: Store, filters: dict[str, Any], limit: int, cursor: str | None) -> dict[str, Any]:
    """The parameters of a page's entries: behind the place of the cursor; of a user or group at the places of as many
    calls as the page can have."""
    after = read_place(cursor, (int, str, str)) if cursor else (-(2**63) + 10**9, "", "")
    behind = filters | dict(zip(("after_ns", "after_trace", "after_span"), after, strict=True))
    if "trace_ids" in filters or "only_conversation" in filters:  # few entries, which an index finds
        return behind
    wanted = {**behind, "calls": limit + 1}
    places = _places_by_time(store, wanted) or store.query(entries_behind("explain_places", wanted), wanted)
    traces = list(dict.fromkeys(trace for _, trace, _ in places))
    return behind | {"trace_ids": traces, "places": places}


def _places_by_time(store: Store, wanted: Mapping[str, Any]) -> Rows:
    """The places of calls and messages of which something remains; empty where the tables in the order of time cannot
    tell."""
    only = {name for name in DIMENSIONS if f"only_{name}" in wanted}
    if "span_id" in wanted or not _LEDGER_ONLY.isdisjoint(only):
        return []
    are_calls = any(all(wanted[f"only_{name}"]) for name in only & _OF_CALLS)
    sql = queries.narrowed("explain_places_by_time", queries.marks(only=only))
    return store.query(sql, {**wanted, "with_messages": int(not are_calls)})


def _page(store: Store, filters: dict[str, Any], limit: int) -> tuple[list[dict[str, Any]], bool]:
    """Entries of whole calls, and whether there are more behind them."""
    wanted = {**filters, "limit": MAX_ENTRIES + 1}
    rows = store.dicts(entries_behind("explain_entries", filters), wanted, settings=_few(filters))
    calls = [list(group) for _, group in groupby(rows, key=lambda row: tuple(row[name] for name in _PLACE))]
    cut = len(rows) > MAX_ENTRIES and len(calls) > 1
    whole = calls[:-1] if cut else calls
    return [row for call in whole[:limit] for row in call], cut or len(whole) > limit


def _entry(row: Mapping[str, Any]) -> Entry:
    counts = ("llm_calls", "failed_calls", "tool_calls", "messages", "cost_usd", "input_tokens")
    first = next((row[name] for name in counts if row[name]), 0)
    return Entry(
        posted_at=format_time(row["posted_us"] * 1000),
        reason=row["reason"],
        run=row["run_id"],
        price_book=row["price_book"],
        sign=-1 if first < 0 else 1,
        kind=row["kind"],
        trace_id=row["trace_id"],
        span_id=row["span_id"] or None,
        **{name: row[name] for name in ("conversation_id", "message_id", "user_id", "provider", "model", "tool")},
        status=row["status"],
        usage=usage_of(row),
        claimed_usd=format(row["claimed_usd"].normalize(), "f") if row["claimed_calls"] else None,
        tool_calls=row["tool_calls"],
        messages=row["messages"],
    )


def _history(rows: Sequence[Mapping[str, Any]]) -> list[Event]:
    ordered = sorted(rows, key=lambda row: (row["posted_us"], row["run_id"]))
    runs = [(key, list(group)) for key, group in groupby(ordered, key=lambda row: (row["posted_us"], row["run_id"]))]
    seen: set[str] = set()
    events = []
    for (posted_us, run), group in runs:
        reason = group[0]["reason"]
        traces = {row["trace_id"] for row in group}
        if reason == "settle" and traces & seen:
            reason = "late"
        seen |= traces
        events.append(Event(format_time(posted_us * 1000), reason, run, len(group), total(group)))
    return events


def _rest(whole: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Rest:
    listed = _sums(rows)
    return Rest(whole["entries"] - len(rows), usage_of({name: whole[name] - listed[name] for name in listed}))


def _sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns that a usage is made of, added up."""
    return {name: sum((row[name] for row in rows), Decimal(0) if name == "cost_usd" else 0) for name in _SUMMED}


_SUMMED = (
    *("llm_calls", "failed_calls", "input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
    *("output_tokens", "reasoning_output_tokens", "cost_usd"),
    *("billed_calls", "computed_calls", "estimated_calls", "unpriced_calls"),
)
