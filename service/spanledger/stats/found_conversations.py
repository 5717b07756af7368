"""Conversations with a message that fits a filter, the one with the latest such message first."""

from typing import Any

from spanledger.stats.conversations import ConversationPage, by_ids
from spanledger.stats.cursors import read_cursor, write_cursor
from spanledger.stats.filters import Filter, calls_in_reach, usage_conditions
from spanledger.stats.found_messages import MOST, bounded
from spanledger.stats.message_rows import IN_WINDOW, SUMS, call_reach, few, fitting, joined
from spanledger.stats.usage import Usage, usage_of
from spanledger.store.client import Store


def found(store: Store, tenant: str, criteria: Filter, limit: int, cursor: str | None) -> ConversationPage:
    """Their figures are those of the whole conversation. Raises BadRequest for a broken cursor."""
    before_ns, before_id = read_cursor(cursor) if cursor else (2**63 - 1, "")
    source, bound = _matched(store, tenant, bounded(criteria))
    sql = f"""
        SELECT conversation_id, max(toUnixTimestamp64Nano(started_at)) AS last_ns
        FROM ({source})
        GROUP BY conversation_id
        HAVING (last_ns, conversation_id) < ({{before_ns:Int64}}, {{before_id:String}})
        ORDER BY last_ns DESC, conversation_id DESC
        LIMIT {{limit:UInt32}}
    """
    rows = store.dicts(sql, {**bound, "before_ns": before_ns, "before_id": before_id, "limit": limit + 1})
    page = rows[:limit]
    more = write_cursor(page[-1]["last_ns"], page[-1]["conversation_id"]) if len(rows) > limit else None
    return ConversationPage(by_ids(store, tenant, [row["conversation_id"] for row in page]), more)


def total(store: Store, tenant: str, criteria: Filter) -> tuple[int | None, Usage | None]:
    """How many conversations fit, and what their messages that fit used; None where more messages would have to be
    looked through than `MOST`."""
    whole = bounded(criteria)
    edges = {"tenant": tenant, "first_ns": whole.window.first_ns, "last_ns": whole.window.last_ns}
    if not whole.is_narrow and store.scalar(f"SELECT count() FROM message_times WHERE {IN_WINDOW}", edges) > MOST:
        return None, None
    source, bound = _matched(store, tenant, whole)
    sql = f"""
        WITH matched AS (SELECT conversation_id, message_id FROM ({source}))
        SELECT (SELECT uniqExact(conversation_id) FROM matched) AS count, {SUMS}
        FROM calls_by_time AS u
        WHERE {calls_in_reach()} AND (conversation_id, message_id) IN matched
    """
    row = store.dicts(sql, call_reach(store, bound) | bound)[0]
    return int(row["count"]), usage_of(row)


def _matched(store: Store, tenant: str, criteria: Filter) -> tuple[str, dict[str, Any]]:
    """The messages of conversations that fit, as a statement and its parameters."""
    where, bound = fitting(store, tenant, criteria)
    where.append("conversation_id != ''")
    if having := usage_conditions(criteria, bound):
        source, more = joined(store, where, bound, few(store, criteria, where, bound))
        return f"SELECT * FROM ({source}) WHERE {' AND '.join(having)}", bound | more
    columns = "conversation_id, message_id, started_at"
    return f"SELECT {columns} FROM message_list FINAL WHERE {IN_WINDOW} AND {' AND '.join(where)}", bound
