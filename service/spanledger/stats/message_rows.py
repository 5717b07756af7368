"""Rows of message_list that fit a filter: their statement, and the shortest way to what their messages used.

A message that has moved leaves its old row behind; message_times, a sum over the ledger, has none for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from spanledger.stats.filters import Filter, calls_in_reach, conditions
from spanledger.stats.times import SECOND
from spanledger.store.client import Store

END_NS = 9_000_000_000_000_000_000
FEW = 5_000  # messages that are selected by their ids
_MANY = 20_000  # from here on one query over the whole window is faster than one by ids
USAGE = (
    *("llm_calls", "failed_calls", "input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
    *("output_tokens", "reasoning_output_tokens", "cost_usd"),
    *("billed_calls", "computed_calls", "estimated_calls", "unpriced_calls"),
)
SUMS = ", ".join(f"sum(u.{name}) AS {name}" for name in USAGE)
IN_WINDOW = """
    tenant = {tenant:String}
    AND started_at >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
    AND started_at <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
"""
KEYS = "SELECT conversation_id, message_id, counted FROM message_list FINAL"
Bound = dict[str, Any]


class Key(NamedTuple):
    """`counted`: 2 for a question and its answer, 1 for a question that failed."""

    conversation_id: str
    message_id: str
    counted: int


def fitting(store: Store, tenant: str, criteria: Filter) -> tuple[list[str], Bound]:
    """Conditions on the rows of message_list beside IN_WINDOW, and all their parameters."""
    bounds: Bound = {
        "tenant": tenant,
        "first_ns": criteria.window.first_ns,
        "last_ns": min(criteria.window.last_ns, END_NS),
    }
    where, bound = conditions(criteria, "user" not in criteria.equal and _all_are_live(store, bounds))
    return where, bound | bounds | (call_reach(store, bounds) if criteria.looks_inside else {})


def call_reach(store: Store, bounds: Mapping[str, Any]) -> Bound:
    """The parameter of `calls_in_reach`: how long after the window calls of its messages may have begun."""
    longest = store.query(f"SELECT max(duration_ns) FROM message_list WHERE {IN_WINDOW}", bounds)
    return {"longest_ns": max(0, min(longest[0][0] or 0, 10**18)) + SECOND}


def in_window(store: Store, bounds: Mapping[str, Any]) -> int:
    """About how many messages of the tenant began in [first_ns, last_ns]."""
    return int(store.query(f"SELECT count() FROM message_times WHERE {IN_WINDOW}", bounds)[0][0])


def _all_are_live(store: Store, bounds: Mapping[str, Any]) -> bool:
    """Whether the rows of the window are those of the ledger, by sums over the hash of each key; False where a look at
    each row is as soon done."""
    if in_window(store, bounds) < _MANY:
        return False
    key = "cityHash64(started_at, conversation_id, message_id)"
    sql = f"""
        SELECT
            (SELECT sum({key} * toUInt64(messages)) FROM message_times WHERE {IN_WINDOW})
            = (SELECT sum({key} * counted) FROM message_list FINAL WHERE {IN_WINDOW})
    """
    return bool(store.query(sql, bounds)[0][0])


def few(store: Store, criteria: Filter, where: Sequence[str], bound: Mapping[str, Any]) -> list[Key] | None:
    """The key of each message that fits `where`; None where they are many, or where a second look for them
    would cost more than it saves."""
    if criteria.is_open or criteria.looks_inside:
        return None
    sql = f"{KEYS} WHERE {IN_WINDOW} AND {' AND '.join(where)}"
    keys = store.query(f"{sql} LIMIT {{few:UInt32}}", {**bound, "few": FEW + 1})
    return [Key(*key) for key in keys] if len(keys) <= FEW else None


def of_keys(keys: Sequence[Key]) -> Bound:
    """The parameters of OF_KEYS."""
    return {"ids": sorted({key.message_id for key in keys}), "keys": [key[:2] for key in keys]}


OF_KEYS = """
    tenant = {tenant:String} AND message_id IN {ids:Array(String)}
    AND (conversation_id, message_id) IN {keys:Array(Tuple(String, String))}
"""


def joined(
    store: Store, where: Sequence[str], bound: Mapping[str, Any], keys: Sequence[Key] | None
) -> tuple[str, Bound]:
    """Messages with what each used, as a statement, and the parameters that it has beside those of `where` (`bound`).
    `keys`: what `few` found."""
    by_key = keys is not None
    source = f"message_usage AS l WHERE {OF_KEYS}" if by_key else f"calls_by_time AS l WHERE {calls_in_reach()}"
    sums = ", ".join(f"sum(l.{name}) AS {name}" for name in USAGE)
    names = ", ".join(f"u.{name} AS {name}" for name in USAGE)
    wanted = [*where, *(["(conversation_id, message_id) IN {keys:Array(Tuple(String, String))}"] if by_key else [])]
    sql = f"""
        SELECT m.*, {names}
        FROM (SELECT * FROM message_list FINAL WHERE {IN_WINDOW} AND {" AND ".join(wanted)}) AS m
        LEFT JOIN
        (
            SELECT conversation_id, message_id, {sums} FROM {source} GROUP BY conversation_id, message_id
        ) AS u USING (conversation_id, message_id)
    """
    return sql, of_keys(keys) if keys is not None else call_reach(store, bound)
