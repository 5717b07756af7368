"""Determines the kind of an id: trace, span, message, conversation, user, response or correlation."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from spanledger.books import copy_keys
from spanledger.errors import NotFound
from spanledger.stats.traces import as_stored
from spanledger.store.client import Store
from spanledger.store.threads import ALONE


@dataclass(frozen=True)
class Found:
    """`path`: the page of the console that shows it; `api`: the route that answers for it."""

    kind: str
    id: str
    path: str
    api: str
    trace_id: str | None = None
    conversation_id: str | None = None


_TRACE_DIGITS, _SPAN_DIGITS = 32, 16  # of an id as it is stored

# Each query reads a few granules by a key or an index. The first one that finds the id decides.
_TRACE = "SELECT 1 FROM genai_spans WHERE tenant = {tenant:String} AND trace_id = {id:String} LIMIT 1"
_MESSAGE = """
SELECT conversation_id, trace_id FROM message_usage
WHERE tenant = {tenant:String} AND message_id = {id:String}
GROUP BY conversation_id, trace_id HAVING sum(messages) > 0 LIMIT 1
"""
_CONVERSATION = """
SELECT 1 FROM conversation_usage WHERE tenant = {tenant:String} AND conversation_id = {id:String} LIMIT 1
"""
_USER = "SELECT 1 FROM user_usage_1h WHERE tenant = {tenant:String} AND user_id = {id:String} LIMIT 1"
_RESPONSE = f"""
SELECT trace_id FROM call_keys
WHERE tenant = {{tenant:String}} AND key IN
(
    SELECT {copy_keys.SQL_OF_TRACE.format(hash="trace")} FROM call_keys
    WHERE tenant = {{tenant:String}}
        AND key = {copy_keys.SQL_OF_SAME.format(hash="cityHash64('response', {id:String})")}
)
"""
_RESPONSE_OF = """
SELECT trace_id FROM genai_spans
WHERE tenant = {tenant:String} AND trace_id IN {traces:Array(String)} AND response_id = {id:String} LIMIT 1
"""
_MESSAGE_OF = """
SELECT if(message_id = '', trace_id, message_id) FROM genai_spans
WHERE tenant = {tenant:String} AND trace_id IN {traces:Array(String)} AND response_id = {id:String}
ORDER BY message_id DESC LIMIT 1
"""
_CORRELATION = """
SELECT trace_id FROM messages WHERE tenant = {tenant:String} AND correlation_id = {id:String}
UNION ALL
SELECT trace_id FROM genai_spans WHERE tenant = {tenant:String} AND correlation_id = {id:String}
LIMIT 1
"""
_SPAN = "SELECT trace_id FROM genai_spans WHERE tenant = {tenant:String} AND span_id = {id:String} LIMIT 1"


def find(store: Store, tenant: str, name: str) -> Found:
    """Raises NotFound."""
    parameters = {"tenant": tenant, "id": name}
    page = quote(name, safe="")

    def rows(sql: str, **more: object) -> list[tuple[str, ...]]:
        return store.query(sql, {**parameters, **more}, settings=ALONE)

    trace_id = as_stored(name)
    if len(trace_id) == _TRACE_DIGITS and rows(_TRACE, id=trace_id):
        where = quote(trace_id, safe="")
        return Found("trace", trace_id, f"/traces/{where}", f"/v1/traces/{where}", trace_id)
    if matches := rows(_MESSAGE):
        conversation, trace = matches[0]
        path = f"/traces/{quote(trace, safe='')}" if trace else f"/messages?{urlencode({'message': name})}"
        return Found("message", name, path, f"/v1/messages/{page}", trace or None, conversation or None)
    if rows(_CONVERSATION):
        return Found("conversation", name, f"/conversations/{page}", f"/v1/conversations/{page}", None, name)
    if rows(_USER):
        return Found("user", name, f"/users/{page}", f"/v1/users/{page}/usage")
    traces = [row[0] for row in rows(_RESPONSE)]
    if traces and (matches := rows(_RESPONSE_OF, traces=traces)):
        return _in_trace("response", name, matches[0][0])
    if matches := rows(_CORRELATION):
        found = _in_trace("correlation", name, matches[0][0])
        return Found(found.kind, name, found.path, f"/v1/correlations/{page}", found.trace_id)
    if len(trace_id) == _SPAN_DIGITS and (matches := rows(_SPAN, id=trace_id)):
        return _in_trace("span", name, matches[0][0])
    raise NotFound(f"nothing here has the id {name!r}")


def message_of_response(store: Store, tenant: str, response_id: str) -> str | None:
    """The message of the call that a provider answered under this id."""
    parameters = {"tenant": tenant, "id": response_id}
    traces = [row[0] for row in store.query(_RESPONSE, parameters, settings=ALONE)]
    rows = store.query(_MESSAGE_OF, {**parameters, "traces": traces}, settings=ALONE) if traces else []
    return rows[0][0] if rows else None


def _in_trace(kind: str, name: str, trace: str) -> Found:
    where = quote(trace, safe="")
    query = f"?{urlencode({'span': name})}" if kind == "span" else ""
    return Found(kind, name, f"/traces/{where}{query}", f"/v1/traces/{where}", trace)
