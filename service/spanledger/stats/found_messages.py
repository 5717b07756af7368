"""Messages that fit a filter: a page of them in any order, what all of them used, and the values of each field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from spanledger.errors import BadRequest
from spanledger.stats import by_usage
from spanledger.stats.breakdown import breakdown
from spanledger.stats.contents import questions_of
from spanledger.stats.conversations import Message, shown
from spanledger.stats.cursors import read_place, write_place
from spanledger.stats.filters import Filter, calls_in_reach, conditions, usage_conditions
from spanledger.stats.message_rows import (
    END_NS,
    IN_WINDOW,
    KEYS,
    OF_KEYS,
    SUMS,
    call_reach,
    few,
    fitting,
    in_window,
    joined,
    of_keys,
)
from spanledger.stats.times import SECOND, Window, parse_time
from spanledger.stats.usage import NONE, Usage, usage_of
from spanledger.store import queries
from spanledger.store.client import Store
from spanledger.store.threads import ALONE

Sort = Literal["time", "-time", "cost", "-cost", "tokens", "-tokens", "duration", "-duration"]
SORTS: tuple[Sort, ...] = ("time", "-time", "cost", "-cost", "tokens", "-tokens", "duration", "-duration")
FACETS = (
    *("user", "conversation", "service", "workflow", "agent", "status", "error_type", "prompt", "prompt_version"),
    *("variant", "model", "provider", "tool"),
)
_BEGINNING_NS = 0
_FIRST_LOOK_NS = 3600 * SECOND  # how far back the first look for the latest messages goes; each further one 8 × as far
_MORE = 8
MOST = 500_000  # messages of a window that are looked through for a total
_COUNTED = 50_000  # messages of a window that are counted one by one where nothing filters them
_COLUMNS = """
    message_id, conversation_id, user_id, trace_id, correlation_id, toUnixTimestamp64Nano(started_at) AS started_ns,
    duration_ns, service, workflow, agent, providers, models, tools, status, error_type, prompt, prompt_version, variant
"""
_ORDER = {
    "time": ("toUnixTimestamp64Nano(started_at)", "Int64"),
    "cost": ("cost_usd", "Decimal(38, 15)"),
    "tokens": ("input_tokens + output_tokens", "Int64"),
    "duration": ("duration_ns", "Int64"),
}


@dataclass(frozen=True)
class Ratings:
    """How many people rated a message so; of each the latest rating counts."""

    positive: int
    negative: int


@dataclass(frozen=True)
class MessageList:
    """`usage`: what all messages that fit used, on this page and on others; None unless requested.

    `count`: how many exchanges these are; `message_count`: questions and answers, as conversations, users and tenants
    count them.
    `previews`: by message the beginning of the user's question, where content was kept. `ratings`: by message, where
    people rated it."""

    items: list[Message]
    next_cursor: str | None
    usage: Usage | None
    count: int | None
    message_count: int | None
    previews: dict[str, str] | None = None
    ratings: dict[str, Ratings] | None = None


def found(
    store: Store,
    tenant: str,
    criteria: Filter,
    sort: Sort = "-time",
    limit: int = 50,
    cursor: str | None = None,
    totals: bool = True,
    preview: int = 0,
    rated: bool = False,
) -> MessageList:
    """Raises BadRequest for a sort or cursor that is none."""
    if sort not in SORTS:
        raise BadRequest(f"sort={sort!r} is unknown; it can be {', '.join(SORTS)}")
    whole = bounded(criteria)
    counting = store.soon(lambda: total(store, tenant, whole)) if totals else None
    items, place, more = page(store, tenant, whole, sort, limit, cursor)
    rating = store.soon(lambda: _ratings(store, tenant, items)) if rated else None
    previews = _previews(store, tenant, items, preview) if preview else None
    sums = counting.result() if counting else Total()
    return MessageList(
        items,
        write_place(place) if more else None,
        sums.usage,
        sums.count,
        sums.message_count,
        previews,
        rating.result() if rating else None,
    )


def _ratings(store: Store, tenant: str, items: Sequence[Message]) -> dict[str, Ratings]:
    parameters = {"tenant": tenant, "message_ids": [one.message_id for one in items]}
    rows = store.dicts(queries.sql("message_ratings"), parameters) if items else []
    return {row["message_id"]: Ratings(row["positive"], row["negative"]) for row in rows}


def _previews(store: Store, tenant: str, items: Sequence[Message], cut: int) -> dict[str, str]:
    """The beginning of the users' questions in these messages; a message's first span starts with the message."""
    traces = [one.trace_id for one in items if one.trace_id]
    if not traces:
        return {}
    starts = [parse_time(one.started_at) for one in items]
    longest = max(one.duration_ms for one in items)
    around = Window(min(starts) - SECOND, max(starts) + int(longest * 1_000_000) + SECOND)
    questions = questions_of(store, tenant, traces, around, cut)
    return {one.message_id: questions[one.trace_id] for one in items if one.trace_id in questions}


def page(
    store: Store, tenant: str, criteria: Filter, sort: Sort, limit: int, cursor: str | None
) -> tuple[list[Message], list[int | str], bool]:
    """Messages, the place of the last one, and whether there are more behind it."""
    if sort == "-time":
        rows = _latest(store, tenant, criteria, limit + 1, cursor)
    else:
        rows = _page(store, tenant, criteria, sort, limit + 1, cursor)
    shown_rows = rows[:limit]
    last = shown_rows[-1] if shown_rows else None
    place = [_position(last, sort), last["conversation_id"], last["message_id"]] if last else []
    return shown(store, tenant, shown_rows), place, len(rows) > limit


@dataclass(frozen=True)
class Total:
    """Of MessageList; None where it is not known."""

    usage: Usage | None = None
    count: int | None = None
    message_count: int | None = None


def total(store: Store, tenant: str, criteria: Filter) -> Total:
    """How many messages fit, and what they used; without any filter, what all calls of the window used, as /v1/usage
    says. None where more messages would have to be looked through than `MOST`: a shorter window has them."""
    bounds = {"tenant": tenant, "first_ns": criteria.window.first_ns, "last_ns": min(criteria.window.last_ns, END_NS)}
    if criteria.is_open:
        usage = breakdown(store, tenant, criteria.window).usage
        few_enough = in_window(store, bounds) <= _COUNTED
        return Total(usage, *(_count(store, bounds) if few_enough else (None, None)))
    if not criteria.is_narrow and in_window(store, bounds) > MOST:
        return Total()
    where, bound = fitting(store, tenant, criteria)
    having = usage_conditions(criteria, bound)
    keys = few(store, criteria, where, bound)
    if not having and keys is not None:
        sums = f"SELECT {SUMS} FROM message_usage AS u WHERE {OF_KEYS}"
        usage = usage_of(store.dicts(sums, {**bound, **of_keys(keys)})[0]) if keys else NONE
        return Total(usage, len(keys), sum(key.counted for key in keys))
    matched = f"{KEYS} WHERE {IN_WINDOW} AND {' AND '.join(where)}"
    if having:
        source, more = joined(store, where, bound, keys)
        bound |= more
        matched = f"SELECT m.conversation_id, m.message_id, m.counted FROM ({source}) AS m WHERE {' AND '.join(having)}"
    sql = f"""
        WITH matched AS ({matched})
        SELECT (SELECT (count(), sum(counted)) FROM matched) AS counts, {SUMS}
        FROM calls_by_time AS u
        WHERE {calls_in_reach()} AND (conversation_id, message_id) IN (SELECT conversation_id, message_id FROM matched)
    """
    row = store.dicts(sql, call_reach(store, bound) | bound)[0]
    return Total(usage_of(row), *(int(count) for count in row["counts"]))


def _count(store: Store, bounds: Mapping[str, Any]) -> tuple[int, int]:
    """Exchanges, and messages of both sides."""
    sql = f"""
        SELECT count(), sum(both) FROM
        (
            SELECT sum(messages) AS both FROM message_times WHERE {IN_WINDOW}
            GROUP BY started_at, conversation_id, message_id HAVING both > 0
        )
    """
    exchanges, messages = store.query(sql, bounds)[0]
    return int(exchanges), int(messages)


def facets(store: Store, tenant: str, criteria: Filter, fields: tuple[str, ...], limit: int) -> dict[str, list[Any]]:
    """Per field the most frequent values among the messages that fit, and how many messages have them."""
    for name in fields:
        if name not in FACETS:
            raise BadRequest(f"field: {name!r} has no facets; these have: {', '.join(FACETS)}")
    criteria = bounded(criteria)
    where, bound = fitting(store, tenant, criteria)
    source = f"SELECT {_COLUMNS} FROM message_list FINAL WHERE {IN_WINDOW} AND {' AND '.join(where)}"
    if having := usage_conditions(criteria, bound):
        rows, more = joined(store, where, bound, few(store, criteria, where, bound))
        bound |= more
        source = f"SELECT * FROM ({rows}) WHERE {' AND '.join(having)}"
    counted = _counted_alike(store, source, bound, [name for name in fields if name not in _MANY_VALUES])
    for name in fields:
        if name in _MANY_VALUES:
            counted[name] = _most_frequent(store, source, bound, name, limit)
    return {name: counted[name][:limit] for name in fields}


def _counted_alike(store: Store, source: str, bound: Mapping[str, Any], fields: Sequence[str]) -> dict[str, list[Any]]:
    """Messages are counted by all these fields at once, of which few combinations occur, and those by each field."""
    if not fields:
        return {}
    by = ", ".join(f"{_facet(name)} AS by_{name}" for name in fields)
    tops = ", ".join(f"sumMap(mapFromArrays({_values(name)}, arrayMap(v -> n, {_values(name)})))" for name in fields)
    row = store.query(f"SELECT {tops} FROM (SELECT {by}, count() AS n FROM ({source}) GROUP BY ALL)", bound)[0]
    ordered = (sorted(dict(counts).items(), key=lambda pair: (-pair[1], pair[0])) for counts in row)
    return {name: [pair for pair in pairs if pair[0]] for name, pairs in zip(fields, ordered, strict=True)}


def _most_frequent(store: Store, source: str, bound: Mapping[str, Any], name: str, limit: int) -> list[Any]:
    sql = f"""
        SELECT {_facet(name)} AS value, count() AS n FROM ({source}) WHERE value != ''
        GROUP BY value ORDER BY n DESC, value LIMIT {{most:UInt32}}
    """
    return [tuple(row) for row in store.query(sql, {**bound, "most": limit})]


_MANY_VALUES = {"user": "user_id", "conversation": "conversation_id"}
_SEVERAL = {"model": "models", "provider": "providers", "tool": "tools"}  # of a message


def _facet(name: str) -> str:
    if name == "status":
        return "if(error_type = 'abandoned', 'abandoned', status::String)"
    if name in _SEVERAL:
        return f"arraySort(arrayDistinct({_SEVERAL[name]}::Array(String)))"
    return _MANY_VALUES.get(name, f"{name}::String")


def _values(name: str) -> str:
    return f"by_{name}" if name in _SEVERAL else f"[by_{name}]"


def bounded(criteria: Filter) -> Filter:
    """The filter with the ends of its window where the data ends, so that looks backwards know when to stop."""
    window = criteria.window
    end = min(window.last_ns + 1, END_NS)
    return replace(criteria, window=Window(max(window.first_ns, _BEGINNING_NS), end))


def _latest(store: Store, tenant: str, criteria: Filter, limit: int, cursor: str | None) -> list[dict[str, Any]]:
    """The latest first, by looks further and further back, each at one stretch of time."""
    rows: list[dict[str, Any]] = []
    first, end = criteria.window.first_ns, criteria.window.last_ns
    if cursor:
        end = min(end, read_place(cursor, (int, str, str))[0])
    of_user = "user" in criteria.equal
    table, who = ("messages_by_user", "user_id IN {user:Array(String)} AND ") if of_user else ("message_times", "")
    bound = {"tenant": tenant, "first_ns": first, "last_ns": end, "user": list(criteria.equal.get("user", ()))}
    earliest, latest = (
        store.query(
            f"SELECT toUnixTimestamp64Nano(started_at) FROM {table} WHERE {who}{IN_WINDOW} "
            f"ORDER BY started_at{direction} LIMIT {{count:UInt32}}",
            {**bound, "count": count},
            settings=ALONE,
        )
        for direction, count in (("", 1), (" DESC", limit if of_user else 1))
    )
    if not earliest or not latest:
        return []
    first, end, reach = max(first, earliest[0][0]), min(end, latest[0][0]), _FIRST_LOOK_NS
    if criteria.is_narrow:
        reach = end - first + 1  # few rows wherever they stand
    if criteria.is_of_users:
        reach = end - latest[-1][0] + 1
    while len(rows) < limit and end >= first:
        begin = max(first, end - reach + 1)
        stretch = replace(criteria, window=Window(begin, end + 1))
        rows += _page(store, tenant, stretch, "-time", limit - len(rows), cursor)
        end, reach = begin - 1, reach * _MORE
    return rows


def _page(
    store: Store, tenant: str, criteria: Filter, sort: Sort, limit: int, cursor: str | None
) -> list[dict[str, Any]]:
    by = sort.removeprefix("-")
    order, kind = _ORDER[by]
    direction, after = ("DESC", "<") if sort.startswith("-") else ("ASC", ">")
    bound: dict[str, Any] = {}
    having = usage_conditions(criteria, bound)
    if cursor:
        position, conversation, message = read_place(cursor, (str if by == "cost" else int, str, str))
        bound |= {"after": position, "after_conversation": conversation, "after_message": message}
        having.append(
            f"({order}, conversation_id, message_id) {after} "
            f"({{after:{kind}}}, {{after_conversation:String}}, {{after_message:String}})"
        )
    ordered = f"ORDER BY {order} {direction}, conversation_id {direction}, message_id {direction}"
    is_by_usage = by in ("cost", "tokens")
    if is_by_usage:
        rows = _by_usage(store, tenant, criteria, by_usage.Order(order, having, ordered, bound, limit))
        if rows is not None:
            return rows
    if criteria.needs_usage or is_by_usage:
        where, fit = fitting(store, tenant, criteria)
        keys = None if is_by_usage else few(store, criteria, where, fit)
        source, more = joined(store, where, fit, keys)
        bound |= fit | more
    else:
        where, fit = conditions(criteria)
        edges = {"tenant": tenant, "first_ns": criteria.window.first_ns, "last_ns": criteria.window.last_ns}
        if "longest_ns" in "".join(where):
            where, edges = fitting(store, tenant, criteria)
        bound |= fit | edges
        source = f"""
            SELECT *, toUnixTimestamp64Nano(started_at) AS started_ns FROM message_list FINAL
            WHERE {IN_WINDOW} AND {" AND ".join(where)}
        """
    sql = f"""
        SELECT {_COLUMNS}, {order} AS position
        FROM ({source})
        {"WHERE " + " AND ".join(having) if having else ""}
        {ordered}
        LIMIT {{limit:UInt32}}
    """
    return store.dicts(sql, {**bound, "limit": limit})


def _by_usage(store: Store, tenant: str, criteria: Filter, order: by_usage.Order) -> list[dict[str, Any]] | None:
    """Messages in the order of cost or tokens from message_usage alone; None where reading the window is cheaper."""
    where, fit = conditions(criteria, all_live=True)
    edges = {"tenant": tenant, "first_ns": criteria.window.first_ns, "last_ns": criteria.window.last_ns}
    keys = few(store, criteria, where, fit | edges)
    if keys is not None:
        return by_usage.among(store, tenant, criteria, _COLUMNS, order, keys)
    return by_usage.first(store, tenant, criteria, _COLUMNS, order)


def _position(row: Mapping[str, Any], sort: str) -> int | str:
    value = row["position"]
    return format(value, "f") if sort.endswith("cost") else int(value)
