"""Read-only SQL for people: one statement, limited in time, rows and memory, and only over one tenant's rows.

Three fences, each of which would do alone for most of what can go wrong:

1. The engine's own parser shows what a query is made of (`EXPLAIN AST`). Statements, functions and tables that are not
   on the lists below are refused: `readonly` alone would let `file('…')` read and `INTO OUTFILE` write files, and
   a second statement after a semicolon run.
2. The query runs on handles that are `readonly` and limited, so the query cannot lift either.
3. Every table with a tenant column is filtered by it on these handles, whatever the query says (unless the operator
   of the machine asks for all tenants).
"""

import re
from collections.abc import Iterator
from typing import Any

from spanledger.errors import BadRequest, StoreError
from spanledger.store.client import Store

MAX_SECONDS = 10
MAX_ROWS = 100_000
MAX_BYTES = 64 * 1024**2
MAX_MEMORY = 1024**3
FORMATS = {"json": "JSONCompact", "csv": "CSVWithNames", "pretty": "PrettyCompactMonoBlock"}

_STATEMENTS = {
    "SelectWithUnionQuery",
    "SelectIntersectExceptQuery",
    "Explain",
    "ShowTables",
    "ShowColumns",
    "DescribeQuery",
    "ShowCreateTableQuery",
    "ExistsTableQuery",
}
_SYSTEM_TABLES = {"one", "numbers", "functions", "data_type_families", "time_zones", "formats", "keywords"}
_TABLE_FUNCTIONS = {
    "numbers",
    "numbers_mt",
    "zeros",
    "zeros_mt",
    "primes",
    "generate_series",
    "generateseries",
    "generaterandom",
    "values",
    "view",
    "null",
}
_REFUSED_FUNCTIONS = re.compile(
    r"file|catboostEvaluate|getClientHTTPHeader|getServerSetting|getMacro|addressTo\w+|demangle|isMergeTree\w*"
    r"|filesystem\w*|showCertificate|display\w*|mergeTree\w*|sleep\w*|joinGet\w*|dict\w+|structureTo\w+|eval\w*"
    r"|ai[A-Z]\w*|url|http\w*|executable\w*|trap|buildId|tcpPort|transactionID|query_?ID|hostName|FQDN|serverUUID",
    re.IGNORECASE,
)
_NODE = re.compile(r"( *)(\w+)(?: (.*?))?(?: \((?:alias|children) .*)?")


class Sandbox:
    """Runs people's SQL for one tenant, or for the operator of the machine: over all of them (None). Thread-safe."""

    def __init__(self, store: Store, tenant: str | None) -> None:
        self._database = store.database
        filters = {} if tenant is None else {"additional_table_filters": _tenant_filters(store, tenant)}
        self._store = store.limited(
            {
                "max_execution_time": MAX_SECONDS,
                "max_result_rows": MAX_ROWS,
                "max_result_bytes": MAX_BYTES,
                "result_overflow_mode": "throw",
                "timeout_overflow_mode": "throw",
                "max_memory_usage": MAX_MEMORY,
                "max_subquery_depth": 50,
                "output_format_json_quote_decimals": 1,
                "output_format_json_quote_64bit_integers": 0,
                "output_format_pretty_color": 0,
                "output_format_pretty_row_numbers": 0,
                "output_format_pretty_max_rows": MAX_ROWS,
                "output_format_pretty_max_value_width": 200,
                **filters,
                "readonly": 1,
            }
        )

    def run(self, query: str, fmt: str = "json") -> bytes:
        """The answer in one of `FORMATS`. Raises BadRequest for a query that is refused, wrong or too expensive."""
        if fmt not in FORMATS:
            raise BadRequest(f"format={fmt!r} is unknown; it can be {', '.join(FORMATS)}")
        statement = query.strip().rstrip(";").strip()
        if not statement:
            raise BadRequest("the query is empty; send one SELECT")
        if ";" in statement:
            raise BadRequest(r"send one statement; a semicolon inside a text can be written as \x3B")
        self._inspect(statement)
        return self._run(statement, FORMATS[fmt])

    def close(self) -> None:
        self._store.close()

    def _run(self, statement: str, fmt: str) -> bytes:
        try:
            return self._store.raw(statement, fmt)
        except StoreError as exc:
            text = str(exc)
            if "Code: " not in text:
                raise
            raise BadRequest(_readable(text)) from exc

    def _inspect(self, statement: str) -> None:
        tree = self._run(f"EXPLAIN AST {statement}", "TSVRaw").decode("utf-8", "replace")
        for parent, kind, value in _nodes(tree):
            if parent is None and kind not in _STATEMENTS:
                raise BadRequest("only reading is allowed here: SELECT, SHOW TABLES, DESCRIBE, EXPLAIN")
            if kind == "Literal" and parent in _STATEMENTS:
                raise BadRequest("INTO OUTFILE is not allowed here")
            if kind == "Function" and parent == "TableExpression":
                if value.lower() not in _TABLE_FUNCTIONS:
                    raise BadRequest(f"table function {value} is not allowed here")
            elif kind == "Function" and _REFUSED_FUNCTIONS.fullmatch(value):
                raise BadRequest(f"function {value} is not allowed here")
            if kind in {"TableIdentifier", "Identifier", *_STATEMENTS}:
                self._inspect_name(kind, value)

    def _inspect_name(self, kind: str, name: str) -> None:
        database, _, table = name.strip().rpartition(".")
        database = database.strip().lower()
        if database == "system" and table in _SYSTEM_TABLES:
            return
        foreign = kind == "TableIdentifier" and database not in {"", self._database.lower()}
        if foreign or database in {"system", "information_schema"}:
            raise BadRequest(f"table {name} is not open to queries; SHOW TABLES lists those that are")


def _nodes(tree: str) -> Iterator[tuple[str | None, str, str]]:
    """(kind of the parent, kind, value) of every node; the parent of the root is None.

    A line break inside a quoted name can add lines here; it cannot hide one, since a line must fit below the one above.
    """
    path: list[str] = []
    for line in tree.split("\n"):
        match = _NODE.fullmatch(line)
        if not match:
            continue
        depth, kind = len(match[1]), match[2]
        if depth > len(path):
            raise BadRequest("names with line breaks are not allowed here")
        del path[depth:]
        yield (path[-1] if path else None, kind, match[3] or "")
        path.append(kind)


def _tenant_filters(store: Store, tenant: str) -> str:
    """The setting by which only this tenant's rows leave any table that has a tenant column."""
    rows = store.query(
        "SELECT table, name FROM system.columns"
        " WHERE database = currentDatabase() AND name IN ('tenant', 'Tenant') ORDER BY table"
    )
    condition = tenant.replace("\\", "\\\\").replace("'", "\\'")
    filters: dict[str, Any] = {table: f"{column} = '{condition}'" for table, column in rows}
    quoted = (f"{_quote(table)}: {_quote(text)}" for table, text in filters.items())
    return "{" + ", ".join(quoted) + "}"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _readable(error: str) -> str:
    """The engine's message without its class names, numbers and version."""
    text = re.sub(
        r"Received ClickHouse exception, code: \d+, server response: |Code: \d+\. |DB::Exception: |default: "
        r"|\(version [^)]*\)\.?|\(for url [^)]*\)",
        "",
        error,
    )
    limits = {
        "TIMEOUT_EXCEEDED": f"it ran longer than {MAX_SECONDS} s; narrow it down",
        "TOO_MANY_ROWS_OR_BYTES": f"its answer has more than {MAX_ROWS} rows or {MAX_BYTES >> 20} MiB; add a LIMIT",
        "MEMORY_LIMIT_EXCEEDED": f"it needs more than {MAX_MEMORY >> 20} MiB of memory; narrow it down",
        "READONLY": "only reading is allowed here, and settings are fixed",
    }
    for name, hint in limits.items():
        if f"({name})" in text:
            return f"the query was stopped: {hint}"
    return re.sub(r"\s+", " ", text).strip()
