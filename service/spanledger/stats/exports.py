"""Everything that fits, row by row and page by page: what can be taken out, in flat columns and constant memory.

Each kind of row has an order of its own in which it lies in a table. A page is read behind the last row of the page
before, so that an export can be broken off anywhere and taken up again by its cursor.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any

from spanledger.errors import BadRequest
from spanledger.stats import conversations, found_messages, owners
from spanledger.stats.cursors import read_place, write_place
from spanledger.stats.export_pages import IN_ORDER, PAGE, PAGE_USERS, Page, Row, by_trace, in_stretches, timed
from spanledger.stats.filters import Filter
from spanledger.stats.span_filters import CANONICAL
from spanledger.stats.times import SECOND, Window, format_time
from spanledger.store import queries
from spanledger.store.client import Store


@dataclass(frozen=True)
class Wanted:
    """What to export. `messages`: filter of messages; `equal`: column → values of the other kinds."""

    kind: str
    window: Window
    messages: Filter = field(default_factory=Filter)
    equal: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """`columns`: name → text, int, money, float or list; `place`: the types of a cursor's values."""

    columns: Mapping[str, str]
    place: tuple[type, ...]
    pages: Callable[[Store, str, Wanted, tuple[Any, ...] | None], Iterator[Page]]


_USAGE = {
    **dict.fromkeys(
        (
            *("llm_calls", "failed_calls", "input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
            *("output_tokens", "reasoning_output_tokens", "total_tokens"),
        ),
        "int",
    ),
    "cost_usd": "money",
    "cost_state": "text",
    "priced_share": "float",
}
_SUMMED = (
    *("llm_calls", "failed_calls", "input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
    *("output_tokens", "reasoning_output_tokens", "cost_usd", "claimed_usd", "tool_calls", "failed_tool_calls"),
)
_MEASURES = {name: "money" if name.endswith("_usd") else "int" for name in _SUMMED}


def rows(store: Store, tenant: str, wanted: Wanted, cursor: str | None = None) -> Iterator[Page]:
    """Pages of rows and the place behind each. Raises BadRequest for a cursor of something else."""
    kind = KINDS[wanted.kind]
    return kind.pages(store, tenant, wanted, read_place(cursor, kind.place) if cursor else None)


def cursor_at(place: Sequence[int | str]) -> str:
    return write_place(place)


def _flat(item: Any) -> Row:
    """A message, conversation or user with its usage beside it."""
    row = asdict(item)
    row |= row.pop("usage")
    row.pop("trend", None)
    return row | {"cost_usd": Decimal(row["cost_usd"])}


def _messages(store: Store, tenant: str, wanted: Wanted, after: tuple[Any, ...] | None) -> Iterator[Page]:
    """In the order of time."""
    criteria = wanted.messages
    everything = {"tenant": tenant, "first_ns": criteria.window.first_ns, "last_ns": criteria.window.last_ns}
    ends = [row[0] for row in store.query(queries.sql("conversations_ends"), everything)]
    if not ends:
        return
    begin, end = max(criteria.window.first_ns, min(ends)), min(criteria.window.last_ns, max(ends))
    cursor = write_place(after) if after else None

    def read(first: int, until: int) -> Iterator[Page]:
        nonlocal cursor
        stretch, more = replace(criteria, window=Window(first, until)), True
        while more:
            items, place, more = found_messages.page(store, tenant, stretch, "time", PAGE, cursor)
            if items:
                cursor = write_place(place)
                yield [_flat(item) for item in items], place

    yield from in_stretches(max(begin, after[0]) if after else begin, end, read)


def _conversations(store: Store, tenant: str, wanted: Wanted, after: tuple[Any, ...] | None) -> Iterator[Page]:
    last = after[0] if after else ""
    while True:
        criteria = {
            "tenant": tenant,
            "after": last,
            "users": list(wanted.equal.get("user", ())),
            "first_ns": wanted.window.first_ns,
            "last_ns": wanted.window.last_ns,
            "limit": PAGE,
        }
        ids = [row[0] for row in store.query(queries.sql("conversation_ids"), criteria, settings=IN_ORDER)]
        if not ids:
            return
        last = ids[-1]
        yield [_flat(one) for one in conversations.by_ids(store, tenant, ids)], [last]


def _users(store: Store, tenant: str, wanted: Wanted, after: tuple[Any, ...] | None) -> Iterator[Page]:
    cursor = write_place([0, after[0]]) if after else None
    while True:
        page = owners.users(store, tenant, wanted.window, sort="name", limit=PAGE_USERS, cursor=cursor)
        if page.items:
            yield [_flat(one) for one in page.items], [page.items[-1].user_id]
        cursor = page.next_cursor
        if cursor is None:
            return


_CALL_TEXTS = (
    *("trace_id", "span_id", "conversation_id", "message_id", "user_id", "service", "operation", "provider", "model"),
    *("workflow", "agent", "tool", "prompt", "prompt_version", "variant", "status", "cost_state"),
)
_WHERE = {
    "user": "user_id",
    "conversation": "conversation_id",
    **{
        name: name
        for name in (
            *("provider", "model", "workflow", "agent", "tool", "prompt", "variant", "operation", "service", "status"),
        )
    },
}


def _conditions(wanted: Wanted, columns: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    bound = {f"only_{name}": list(values) for name, values in wanted.equal.items()}
    for name in wanted.equal:
        if name not in columns:
            raise BadRequest(f"{wanted.kind} cannot be filtered by {name!r}; it can by {', '.join(columns)}")
    found = [f"{columns[name]} IN {{only_{name}:Array(String)}}" for name in wanted.equal]
    bounds = {"first_ns": wanted.window.first_ns, "last_ns": wanted.window.last_ns}
    return "".join(f" AND {condition}" for condition in found), {**bound, **bounds}


_STARTED_WITHIN = (
    "started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC') "
    "AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')"
)


def _calls(store: Store, tenant: str, wanted: Wanted, after: tuple[Any, ...] | None) -> Iterator[Page]:
    """Every call as it counts now, in the order of time."""
    where, bound = _conditions(wanted, _WHERE)
    bound["tenant"] = tenant
    ends = f"""
        SELECT count(), toUnixTimestamp64Nano(min(started_at)), toUnixTimestamp64Nano(max(started_at))
        FROM calls_by_time WHERE tenant = {{tenant:String}} AND {_STARTED_WITHIN}
    """
    count, begin, end = store.query(ends, bound)[0]
    place: Sequence[Any] = after or (begin, "", "")
    sums = ", ".join(f"sum(c.{name}) AS {name}" for name in (*_SUMMED, "duration_ns"))
    sql = f"""
        SELECT {", ".join(_CALL_TEXTS)}, toUnixTimestamp64Nano(started_at) AS started_ns, {sums}
        FROM calls_by_time AS c
        WHERE tenant = {{tenant:String}} AND kind = 'call' AND {_STARTED_WITHIN}{where}
            AND started_at >= fromUnixTimestamp64Nano(greatest({{after_ns:Int64}}, {{begin_ns:Int64}}), 'UTC')
            AND started_at < fromUnixTimestamp64Nano({{until_ns:Int64}}, 'UTC')
            AND (started_at, trace_id, span_id)
                > (fromUnixTimestamp64Nano({{after_ns:Int64}}, 'UTC'), {{after_trace:String}}, {{after_span:String}})
        GROUP BY started_at, {", ".join(_CALL_TEXTS)}
        HAVING llm_calls + failed_calls > 0
        ORDER BY started_at, trace_id, span_id
        LIMIT {{limit:UInt32}}
    """

    def read(first: int, until: int) -> Iterator[Page]:
        nonlocal place
        found: list[Row] = []
        while not found or len(found) == PAGE:
            named = dict(zip(("after_ns", "after_trace", "after_span"), place, strict=True))
            stretch = {"begin_ns": first, "until_ns": until, "limit": PAGE}
            found = store.dicts(sql, {**bound, **named, **stretch})
            if not found:
                return
            place = [found[-1][name] for name in ("started_ns", "trace_id", "span_id")]
            yield [timed(row) for row in found], list(place)

    if count:
        yield from in_stretches(max(begin, place[0]), end, read)


_LEDGER_TEXTS = ("reason", "run_id", "price_book", "kind", *_CALL_TEXTS)
_LEDGER_SUMS = (
    *_SUMMED,
    *("claimed_calls", "billed_calls", "computed_calls", "estimated_calls", "unpriced_calls", "messages"),
)


def _ledger(store: Store, tenant: str, wanted: Wanted, after: tuple[Any, ...] | None) -> Iterator[Page]:
    """Every entry, in the order of traces: as they lie in the book."""
    where, bound = _conditions(wanted, _WHERE)
    yield from by_trace(
        store,
        f"""
        SELECT {", ".join((*_LEDGER_TEXTS, *_LEDGER_SUMS))}, duration_ns,
            toUnixTimestamp64Nano(started_at) AS started_ns, toUnixTimestamp64Micro(posted_at) AS posted_us
        FROM ledger
        WHERE tenant = {{tenant:String}} AND {_STARTED_WITHIN}{where} AND trace_id IN {{traces:Array(String)}}
        ORDER BY trace_id, started_at, span_id, posted_at
        """,
        {"tenant": tenant, **bound},
        after,
        f"SELECT trace_id FROM ledger WHERE tenant = {{tenant:String}} AND {_STARTED_WITHIN}{where}",
    )


_SPAN_TEXTS = (
    *("trace_id", "span_id", "parent_span_id", "span_name", "service", "scope", "role", "operation", "provider"),
    *("request_model", "response_model", "response_id", "status", "error_type", "conversation_id", "message_id"),
    *("user_id", "correlation_id", "workflow", "agent", "tool", "prompt", "prompt_version", "variant"),
)
_SPAN_COUNTS = (
    *("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "output_tokens"),
    "reasoning_output_tokens",
)


def _spans(store: Store, tenant: str, wanted: Wanted, after: tuple[Any, ...] | None) -> Iterator[Page]:
    """Every span once, in canonical names, in the order of traces."""
    bound: dict[str, Any] = {name: list(values) for name, values in wanted.equal.items()}
    known = {"service": "service IN {service:Array(String)}", **CANONICAL}
    for name in wanted.equal:
        if name not in known:
            raise BadRequest(f"spans cannot be filtered by {name!r}; they can by {', '.join(known)}")
    where = "".join(f" AND {known[name]}" for name in wanted.equal)
    bound |= {"tenant": tenant, "first_ns": wanted.window.first_ns, "last_ns": wanted.window.last_ns}
    yield from by_trace(
        store,
        f"""
        SELECT {", ".join((*_SPAN_TEXTS, *_SPAN_COUNTS))}, cost_claim_usd AS claimed_usd, duration_ns,
            toUnixTimestamp64Nano(started_at) AS started_ns
        FROM genai_spans FINAL
        WHERE tenant = {{tenant:String}} AND {_STARTED_WITHIN}{where} AND trace_id IN {{traces:Array(String)}}
        ORDER BY trace_id, started_at, span_id
        """,
        bound,
        after,
        f"SELECT trace_id FROM genai_spans WHERE tenant = {{tenant:String}} AND {_STARTED_WITHIN}",
    )


_HOUR_TEXTS = (
    *("service", "operation", "provider", "model", "workflow", "agent", "tool", "prompt", "prompt_version", "variant"),
    *("status", "cost_state"),
)


def _usage(store: Store, tenant: str, wanted: Wanted, after: tuple[Any, ...] | None) -> Iterator[Page]:
    """Sums by hour and dimension, day by day. The hours at the ends of the window hold what is inside it."""
    where, bound = _conditions(wanted, {name: _WHERE[name] for name in _WHERE if name not in ("user", "conversation")})
    sums = ", ".join(f"sum(u.{name}) AS {name}" for name in _SUMMED)
    names = ", ".join((*_HOUR_TEXTS, *_SUMMED))
    edges = wanted.window.split(3600)
    sql = f"""
        SELECT toInt64(toUnixTimestamp(at)) AS hour_s, {", ".join(_HOUR_TEXTS)}, {sums}
        FROM
        (
            SELECT hour AS at, {names} FROM usage_1h
            WHERE tenant = {{tenant:String}} AND hour >= toDateTime({{core_first_s:UInt32}}, 'UTC')
                AND hour < toDateTime({{core_end_s:UInt32}}, 'UTC')
            UNION ALL
            SELECT toStartOfHour(toDateTime(started_at, 'UTC')) AS at, {names} FROM calls_by_time
            WHERE {{has_edges:UInt8}} AND tenant = {{tenant:String}} AND {_STARTED_WITHIN}
                AND (started_at < fromUnixTimestamp64Nano({{core_first_ns:Int64}}, 'UTC')
                    OR started_at >= fromUnixTimestamp64Nano({{core_end_ns:Int64}}, 'UTC'))
        ) AS u
        WHERE at >= toDateTime({{begin_s:UInt32}}, 'UTC') AND at < toDateTime({{begin_s:UInt32}}, 'UTC') + 86400{where}
        GROUP BY at, {", ".join(_HOUR_TEXTS)}
        HAVING llm_calls != 0 OR failed_calls != 0 OR tool_calls != 0
        ORDER BY at, {", ".join(_HOUR_TEXTS)}
    """
    ends = "SELECT toInt64(toUnixTimestamp(min(hour))), toInt64(toUnixTimestamp(max(hour))), count() FROM usage_1h"
    first, last, count = store.query(f"{ends} WHERE tenant = {{tenant:String}}", {"tenant": tenant})[0]
    begin = max(first, edges["first_s"]) // 86_400 * 86_400
    begin = after[0] + 86_400 if after else begin
    while count and begin <= min(last, edges["last_s"]):
        found = store.dicts(sql, {"tenant": tenant, "begin_s": begin, **bound, **edges})
        if found:
            yield [row | {"hour": format_time(row["hour_s"] * SECOND)} for row in found], [begin]
        begin += 86_400


def _texts(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "text")


KINDS: dict[str, Kind] = {
    "messages": Kind(
        {
            **_texts("message_id", "conversation_id", "user_id", "trace_id", "correlation_id", "started_at"),
            "duration_ms": "float",
            **_texts("service", "workflow", "agent"),
            **dict.fromkeys(("providers", "models", "tools"), "list"),
            **_texts("status", "error_type"),
            **_USAGE,
        },
        (int, str, str),
        _messages,
    ),
    "conversations": Kind(
        {
            **_texts("conversation_id", "user_id"),
            "message_count": "int",
            **_texts("first_at", "last_at", "status"),
            "models": "list",
            **_USAGE,
        },
        (str,),
        _conversations,
    ),
    "users": Kind({**_texts("user_id"), "message_count": "int", **_texts("last_at"), **_USAGE}, (str,), _users),
    "calls": Kind(
        {**_texts("started_at"), "duration_ms": "float", **_texts(*_CALL_TEXTS), **_MEASURES}, (int, str, str), _calls
    ),
    "ledger": Kind(
        {
            **_texts("posted_at", "started_at", *_LEDGER_TEXTS),
            "duration_ms": "float",
            **{name: "money" if name.endswith("_usd") else "int" for name in _LEDGER_SUMS},
        },
        (str,),
        _ledger,
    ),
    "spans": Kind(
        {
            **_texts("started_at"),
            "duration_ms": "float",
            **_texts(*_SPAN_TEXTS),
            **dict.fromkeys(_SPAN_COUNTS, "int"),
            "claimed_usd": "money",
        },
        (str,),
        _spans,
    ),
    "usage": Kind({**_texts("hour", *_HOUR_TEXTS), **_MEASURES}, (int,), _usage),
}
