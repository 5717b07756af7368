"""Rows of two tenants and questions whose answers must not depend on those of the other one."""

from collections.abc import Callable

from ledger_rows import NOON, ledger_row, write_rows
from spanledger.errors import BadRequest
from spanledger.store.client import Store
from sql_grammar import TABLES

OTHER_WORDS = "the other tenant's words"

# On another tenant's row each of these fails, or the row shows in the answer.
FORMS = {
    "prewhere": "SELECT count() FROM {t} PREWHERE if(tenant = 'other', toUInt64(text), 1) > 0",
    "prewhere throwIf": "SELECT count() FROM {t} PREWHERE throwIf(text LIKE '%words%') = 0",
    "where": "SELECT count() FROM {t} WHERE if(tenant = 'other', toUInt64(text), 1) > 0",
    "where with final": "SELECT count() FROM {t} FINAL WHERE toUInt64(text) > 0",
    "prewhere with final": "SELECT count() FROM {t} FINAL PREWHERE if(tenant = 'other', toUInt64(text), 1) > 0",
    "join on": "SELECT count() FROM {t} AS a JOIN {t} AS b ON a.chunk = b.chunk AND toUInt64(a.text) > 0",
    "join on, one side": "SELECT count() FROM {t} AS a JOIN numbers(9) AS n ON a.chunk = n.number"
    " AND if(a.tenant = 'other', toUInt64(a.text), 1) > 0",
    "left join on": "SELECT count() FROM numbers(3) AS n LEFT JOIN {t} AS b ON b.chunk = n.number"
    " AND toUInt64(b.text) > 0",
    "array join": "SELECT count() FROM {t} ARRAY JOIN [toUInt64(text)] AS x WHERE x > 0",
    "array join of a lambda": "SELECT count() FROM {t} ARRAY JOIN arrayMap(x -> toUInt64(text), [1]) AS x",
    "in": "SELECT count() FROM numbers(30) WHERE number IN (SELECT toUInt64(text) FROM {t})",
    "in, with prewhere": "SELECT 1 IN (SELECT toUInt64(text) FROM {t} PREWHERE throwIf(length(text) > 5) = 0)",
    "in a table": "SELECT count() FROM {t} WHERE ('other', chunk) IN (SELECT tenant, chunk FROM {t})",
    "scalar": "SELECT (SELECT max(toUInt64(text)) FROM {t})",
    "exists": "SELECT EXISTS (SELECT 1 FROM {t} WHERE throwIf(tenant != 'mine') = 0)",
    "having": "SELECT tenant FROM {t} GROUP BY tenant HAVING throwIf(tenant = 'other') = 0",
    "group by": "SELECT toUInt64(text) AS n, count() FROM {t} GROUP BY n ORDER BY n",
    "order by": "SELECT chunk FROM {t} ORDER BY toUInt64(text)",
    "limit by": "SELECT chunk FROM {t} ORDER BY chunk LIMIT 1 BY toUInt64(text)",
    "window": "SELECT chunk, sum(toUInt64(text)) OVER () FROM {t} ORDER BY chunk",
    "qualify": "SELECT chunk FROM {t} QUALIFY row_number() OVER (ORDER BY toUInt64(text)) = 1",
    "view": "SELECT count() FROM view(SELECT toUInt64(text) AS n FROM {t} PREWHERE n > 0)",
    "common table expression": "WITH a AS (SELECT toUInt64(text) AS n FROM {t}) SELECT sum(n) FROM a",
    "union": "SELECT count() FROM {t} PREWHERE toUInt64(text) > 0 UNION ALL SELECT 1",
    "explain": "EXPLAIN SELECT (SELECT max(toUInt64(text)) FROM {t})",
    "explain estimate": "EXPLAIN ESTIMATE SELECT text FROM {t}",
    "index": "SELECT count() FROM {t} WHERE tenant = 'other'",
    "division": "SELECT sum(intDiv(100, length(text) - 24)) FROM {t} PREWHERE intDiv(100, length(text) - 24) < 1",
    "cast": "SELECT count() FROM {t} PREWHERE CAST(text AS Enum8('1' = 1, '2' = 2, '3' = 3)) != '9'",
    "conditional aggregate": "SELECT sumIf(toUInt64(text), tenant = 'mine') FROM {t}",
    "sizes": "SHOW TABLES WHERE total_rows > 3",
}


def fill(store: Store, tenant: str, text: Callable[[int], str], rows: int) -> None:
    """A tenant's rows in every table of the grammar."""
    texts = [text(number) for number in range(1, rows + 1)]
    common = [{"tenant": tenant, "document_id": f"d{n}", "chunk": n, "revision": 1} for n in range(1, rows + 1)]
    write_rows(store, "document_chunks", [{**row, "text": t} for row, t in zip(common, texts, strict=True)])
    write_rows(store, "ledger", [ledger_row(n, tenant, model=text) for n, text in enumerate(texts, 1)])
    message = {
        "tenant": tenant,
        "conversation_id": "",
        "started_at": NOON,
        "duration_ns": 1,
        "status": "ok",
        "version": 1,
    }
    write_rows(
        store, "messages", [{**message, "message_id": f"m{n}", "user_id": text} for n, text in enumerate(texts, 1)]
    )
    span = {"tenant": tenant, "trace_id": "t", "started_at": NOON, "duration_ns": 1, "version": 1}
    write_rows(
        store, "genai_spans", [{**span, "span_id": f"s{n}", "span_name": text} for n, text in enumerate(texts, 1)]
    )
    log = {"Tenant": tenant, "Timestamp": NOON, "SeverityNumber": 9}
    write_rows(store, "otel_logs", [{**log, "TraceId": f"t{n}", "Body": text} for n, text in enumerate(texts, 1)])


def lie_together(store: Store) -> None:
    """Rows of all tenants in one part, next to each other: no index keeps them apart."""
    for table in TABLES:
        store.command(f"OPTIMIZE TABLE {table} FINAL")


def answer(run: Callable[[str, str], bytes], query: str) -> str:
    """What the caller gets, the lines of an answer in one order."""
    try:
        return "\n".join(sorted(run(query, "csv").decode().splitlines()))
    except BadRequest as exc:
        return f"refused: {exc}"
