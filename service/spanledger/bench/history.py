"""A history of conversations as the books would have it, made by SQL: what settlement writes, without settling.

Traces of eight spans: server, workflow, two model calls, a tool, two databases, HTTP client. Ids are predictable:
message `m<n>` of conversation `c<n/4>`, user `u<c % users>`, trace = MD5 of `n` in hexadecimal.
"""

import hashlib
import time
from collections.abc import Callable

from spanledger.store import migrate
from spanledger.store.client import Store

SPANS_PER_MESSAGE = 8
MESSAGES_PER_CONVERSATION = 4
USERS = 10_000
_STEP = 250_000  # messages of one insert

_WHO = """
    number AS n, intDiv(number, 4) AS c, lower(hex(MD5(toString(number)))) AS trace,
    concat('c', toString(c)) AS conversation, concat('m', toString(n)) AS message,
    concat('u', toString(c % {users:UInt64})) AS user,
    ({messages:UInt64} - n) / {messages:UInt64} * {days:UInt64} * 86400000 AS age_ms,
    fromUnixTimestamp64Nano({now_ns:Int64}, 'UTC') - toIntervalMillisecond(toUInt64(age_ms)) AS began,
    ['assistant', 'research', 'chat'][c % 3 + 1] AS flow,
    ['openai', 'openai', 'anthropic', 'gcp.gemini'][c % 4 + 1] AS company,
    ['gpt-4o-mini', 'gpt-4o', 'claude-sonnet-4-5', 'gemini-2.5-flash'][c % 4 + 1] AS llm,
    cityHash64(n) % 1000 = 0 AS is_failed
"""
_FROM = "FROM numbers({first:UInt64}, {count:UInt64})"
_SPAN_ID = "lower(hex(cityHash64(n, p)))"
_PARENT_ID = "if(p = 1, '', lower(hex(cityHash64(n, 1))))"
_PLACES = "ARRAY JOIN [1, 2, 3, 4, 5, 6, 7, 8] AS p"
_NAMES = (
    "['POST /v1/messages', 'invoke_workflow', 'SELECT', concat('chat ', llm), 'POST', 'execute_tool search', 'GET',"
    " concat('chat ', llm)][p]"
)

_RAW = f"""
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ScopeName,
    SpanAttributes, Duration, StatusCode, Tenant, ReceivedAt)
SELECT began + toIntervalMillisecond(p), trace, {_SPAN_ID}, {_PARENT_ID}, {_NAMES}, 'Internal', 'chat-service', 'app',
    map('gen_ai.conversation.id', conversation, 'spanledger.message.id', message, 'user.id', user,
        'gen_ai.request.model', if(p IN (4, 8), llm, ''), 'server.address', 'api.example.com', 'server.port', '443'),
    1000000 * (9 - p), 'Unset', 'default', toDateTime64(began, 3)
FROM (SELECT {_WHO} {_FROM}) {_PLACES}
"""
_SPANS = f"""
INSERT INTO genai_spans (tenant, trace_id, span_id, parent_span_id, version, started_at, duration_ns, service, scope,
    span_name, role, operation, provider, request_model, response_model, response_id, status, conversation_id,
    message_id, user_id, workflow, tool, input_tokens, output_tokens, received_at)
SELECT 'default', trace, {_SPAN_ID}, {_PARENT_ID}, toUInt128(n), began + toIntervalMillisecond(p),
    1000000 * (9 - p), 'chat-service', 'app', {_NAMES},
    ['', 'workflow', '', 'inference', '', 'tool', '', 'inference'][p], if(p IN (4, 8), 'chat', ''),
    if(p IN (4, 8), company, ''), if(p IN (4, 8), llm, ''), if(p IN (4, 8), llm, ''),
    if(p IN (4, 8), concat('r', toString(n), '-', toString(p)), ''), 'ok', if(p = 2, conversation, ''),
    if(p = 2, message, ''), if(p = 2, user, ''), if(p = 2, flow, ''), if(p = 6, 'search', ''),
    if(p IN (4, 8), toNullable(toInt64(200 + cityHash64(n, p) % 3000)), NULL),
    if(p IN (4, 8), toNullable(toInt64(20 + cityHash64(p, n) % 600)), NULL), toDateTime64(began, 3)
FROM (SELECT {_WHO} {_FROM}) {_PLACES}
"""
_LEDGER = f"""
INSERT INTO ledger (posted_at, reason, run_id, price_book, kind, tenant, trace_id, span_id, started_at, conversation_id,
    message_id, user_id, service, operation, provider, model, workflow, tool, status, cost_state, llm_calls,
    input_tokens, output_tokens, cost_usd, computed_calls, tool_calls, messages, duration_ns)
SELECT now64(6), 'settle', 'bench', 'bench', entry, 'default', trace, if(p = 0, '', {_SPAN_ID}), began, conversation,
    message, user, 'chat-service', ['chat', 'execute_tool', ''][kind], if(kind = 1, company, ''), if(kind = 1, llm, ''),
    flow, if(kind = 2, 'search', ''), if(is_failed, 'error', 'ok'), if(kind = 1, 'computed', ''), kind = 1,
    if(kind = 1, toInt64(200 + cityHash64(n, p) % 3000), 0), if(kind = 1, toInt64(20 + cityHash64(p, n) % 600), 0),
    if(kind = 1, toDecimal128((200 + cityHash64(n, p) % 3000) * 0.00000015, 15), 0), kind = 1, kind = 2,
    if(kind = 3, if(is_failed, 1, 2), 0), 8000000
FROM
(
    SELECT *, p, kind, ['call', 'tool', 'message'][kind] AS entry
    FROM (SELECT {_WHO} {_FROM})
    ARRAY JOIN [4, 8, 6, 0] AS p, [1, 1, 2, 3] AS kind
)
"""
_MESSAGES = f"""
INSERT INTO messages (tenant, conversation_id, message_id, trace_id, user_id, service, workflow, started_at,
    duration_ns, status, providers, models, tools, version, deleted)
SELECT 'default', conversation, message, trace, user, 'chat-service', flow, began, 8000000,
    if(is_failed, 'error', 'ok'), [company], [llm], ['search'], 1, 0
FROM (SELECT {_WHO} {_FROM})
"""


_TABLES = {"raw spans": _RAW, "spans": _SPANS, "ledger and rollups": _LEDGER, "messages": _MESSAGES}


def make(store: Store, messages: int, days: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Fills an empty store with `messages` up to now, evenly over `days`."""
    now_ns = time.time_ns()  # one moment for all tables: a message has the same start in each
    for migration in migrate.files("migrations"):
        store.command(migration.statement)
    _insert(store, "raw spans", messages, days, now_ns, say)  # before there are views: nothing is to be settled
    migrate.migrate(store)
    for name in list(_TABLES)[1:]:
        _insert(store, name, messages, days, now_ns, say)


def trace_of(message: int) -> str:
    return hashlib.md5(str(message).encode(), usedforsecurity=False).hexdigest()


def _insert(store: Store, name: str, messages: int, days: int, now_ns: int, say: Callable[[str], None]) -> None:
    for first in range(0, messages, _STEP):
        say(f"{name}: {first:,} of {messages:,} messages")
        count = min(_STEP, messages - first)
        given = {"first": first, "count": count, "messages": messages, "days": days, "users": USERS, "now_ns": now_ns}
        store.command(_TABLES[name], given)
