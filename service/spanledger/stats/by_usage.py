"""The dearest messages of a long window: from all messages in the order of what they used, until enough are in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from spanledger.stats.filters import Filter, conditions
from spanledger.stats.message_rows import END_NS, IN_WINDOW, USAGE, in_window
from spanledger.store.client import Store

_LONG = 100_000  # messages of a window; of fewer the calls are added up sooner
_PART = 20  # the window must have at least one of so many messages
_FEW, _MORE, _MOST = 4, 4, 4_000  # messages looked at: at first for each that is wanted, times as many later, at most


def first(
    store: Store,
    tenant: str,
    criteria: Filter,
    columns: str,
    order: str,
    having: Sequence[str],
    ordered: str,
    bound: Mapping[str, Any],
    limit: int,
) -> list[dict[str, Any]] | None:
    """`columns` of the first `limit` messages and their `position` in this order; None where another way is shorter.

    `order` and `having` are about what a message used, `ordered` is the ORDER BY; `bound` are their parameters.
    """
    if criteria.is_narrow or criteria.looks_inside:
        return None
    edges = {"tenant": tenant, "first_ns": criteria.window.first_ns, "last_ns": min(criteria.window.last_ns, END_NS)}
    there = in_window(store, edges)
    if there < _LONG:
        return None
    everything = store.query("SELECT count() FROM message_usage WHERE tenant = {tenant:String}", edges)[0][0]
    if there * _PART < everything:
        return None
    where, fit = conditions(criteria, all_live=True)  # `messages` has no rows of what has moved
    size = _FEW * limit
    while size <= _MOST:
        keys = _used(store, order, having, ordered, {**bound, "tenant": tenant, "size": size})
        rows = _rows(store, columns, where, {**fit, **edges}, list(keys))
        found = [{**rows[key], "position": position} for key, position in keys.items() if key in rows]
        if len(found) >= limit or len(keys) < size:
            return found[:limit]
        size *= _MORE
    return None


def _used(
    store: Store, order: str, having: Sequence[str], ordered: str, bound: Mapping[str, Any]
) -> dict[tuple[str, str], Any]:
    """The position of each of the first `size` messages, in order."""
    expressions = " ".join([order, *having])
    sums = ", ".join(f"sum(u.{name}) AS {name}" for name in USAGE if name in expressions)
    sql = f"""
        SELECT conversation_id, message_id, {order} AS position FROM
        (
            SELECT conversation_id, message_id, {sums} FROM message_usage AS u
            WHERE tenant = {{tenant:String}}
            GROUP BY conversation_id, message_id
            HAVING sum(u.messages) > 0
        )
        {"WHERE " + " AND ".join(having) if having else ""}
        {ordered}
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
