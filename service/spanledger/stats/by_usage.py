"""Messages in the order of cost or tokens, from message_usage: those of a tenant, or some by their keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spanledger.stats.filters import Filter, conditions
from spanledger.stats.message_rows import END_NS, IN_WINDOW, OF_KEYS, USAGE, Key, in_window, of_keys
from spanledger.store.client import Store

Rows = list[dict[str, Any]]

_LONG = 100_000  # messages of a window; of fewer the calls are added up sooner
_PART = 20  # the window must have at least one of so many messages
_FEW = 4  # messages of the tenant looked at, at first, for each that is wanted
_MOVED = 10  # messages looked at, at first, beside those that are wanted, where all fitted a moment ago
_MORE, _MOST = 4, 4_000  # times as many later, and at most


@dataclass(frozen=True)
class Order:
    """`position` and `having` are about what a message used, `ordered` is the ORDER BY; `bound` are the parameters of
    all three; `limit`: how many messages."""

    position: str
    having: Sequence[str]
    ordered: str
    bound: Mapping[str, Any]
    limit: int


def first(store: Store, tenant: str, criteria: Filter, columns: str, order: Order) -> Rows | None:
    """`columns` of the first messages and their `position`; None where another way is shorter."""
    if criteria.is_narrow or criteria.looks_inside:
        return None
    there = in_window(store, _edges(tenant, criteria))
    if there < _LONG:
        return None
    everything = store.query("SELECT count() FROM message_usage WHERE tenant = {tenant:String}", {"tenant": tenant})
    if there * _PART < everything[0][0]:
        return None
    return _until_enough(store, tenant, criteria, columns, order, _OF_TENANT, _FEW * order.limit, _MOST)


def among(store: Store, tenant: str, criteria: Filter, columns: str, order: Order, keys: Sequence[Key]) -> Rows:
    """`columns` of the first messages that fit the filter, from those with `keys`, which may include moved messages."""
    if not keys:
        return []
    within = replace(order, bound={**order.bound, **of_keys(keys)})
    size = order.limit + _MOVED
    return _until_enough(store, tenant, criteria, columns, within, OF_KEYS, size, _MORE * len(keys)) or []


def _until_enough(
    store: Store, tenant: str, criteria: Filter, columns: str, order: Order, which: str, size: int, most: int
) -> Rows | None:
    """Reads the first `size` messages in order, more each time, until `order.limit` fit; None where `most` do not
    suffice."""
    where, fit = conditions(criteria, all_live=True)  # `messages` has one row a message, so moved ones need no check
    most = max(size, most)
    while size <= most:
        keys = _used(store, order, which, {**order.bound, "tenant": tenant, "size": size})
        rows = _rows(store, columns, where, {**fit, **_edges(tenant, criteria)}, list(keys))
        found = [{**rows[key], "position": position} for key, position in keys.items() if key in rows]
        if len(found) >= order.limit or len(keys) < size:
            return found[: order.limit]
        size *= _MORE
    return None


def _edges(tenant: str, criteria: Filter) -> dict[str, Any]:
    window = criteria.window
    return {"tenant": tenant, "first_ns": window.first_ns, "last_ns": min(window.last_ns, END_NS)}


_OF_TENANT = "tenant = {tenant:String}"


def _used(store: Store, order: Order, which: str, bound: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """The position of each of the first `size` messages, in order."""
    expressions = " ".join([order.position, *order.having])
    sums = ", ".join(f"sum(u.{name}) AS {name}" for name in USAGE if name in expressions)
    sql = f"""
        SELECT conversation_id, message_id, {order.position} AS position FROM
        (
            SELECT conversation_id, message_id, {sums} FROM message_usage AS u
            WHERE {which}
            GROUP BY conversation_id, message_id
            HAVING sum(u.messages) > 0
        )
        {"WHERE " + " AND ".join(order.having) if order.having else ""}
        {order.ordered}
        LIMIT {{size:UInt32}}
    """
    return {(conversation, message): position for conversation, message, position in store.query(sql, bound)}


def _rows(
    store: Store, columns: str, where: Sequence[str], bound: Mapping[str, Any], keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, Any]]:
    if not keys:
        return {}
    # The conditions stand outside: inside, the engine would read their columns of whole granules first.
    sql = f"""
        SELECT {columns} FROM
        (
            SELECT * FROM messages
            WHERE tenant = {{tenant:String}} AND (conversation_id, message_id) IN {{keys:Array(Tuple(String, String))}}
            ORDER BY tenant, conversation_id, message_id, version DESC
            LIMIT 1 BY tenant, conversation_id, message_id
        )
        WHERE deleted = 0 AND {IN_WINDOW} AND {" AND ".join(where)}
    """
    rows = store.dicts(sql, {**bound, "keys": list(keys)})
    return {(row["conversation_id"], row["message_id"]): row for row in rows}
