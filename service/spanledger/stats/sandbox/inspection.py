"""What a person's statement consists of, by the engine's own parser (`EXPLAIN AST`), and what is refused.

`readonly` alone would let `file('…')` read files and `INTO OUTFILE` write them, and a second statement after a
semicolon run. Statements, functions and tables that are not on the lists below are refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from spanledger.errors import BadRequest

_SHOWS = {"ShowTables", "ShowColumns", "DescribeQuery", "ShowCreateTableQuery", "ExistsTableQuery"}
_STATEMENTS = {"SelectWithUnionQuery", "SelectIntersectExceptQuery", "Explain", *_SHOWS}
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
_ALIAS = re.compile(r"\(alias ([^)]*)\)")
_ALL_COLUMNS = re.compile(r"Asterisk|QualifiedAsterisk|Columns\w*Matcher")
_HIDDEN_JOIN = re.compile(r"\bnatural\b", re.IGNORECASE)  # joins by columns that it does not name


@dataclass(frozen=True)
class Node:
    parent: str | None  # the kind of the node above; None at the root
    above: str | None  # the value of the node two levels above: the function of an argument
    kind: str
    value: str
    alias: str


@dataclass(frozen=True)
class Mentions:
    """What a statement names. `names`: every part of every identifier; `every_column`: it may read any column."""

    tables: frozenset[str]
    names: frozenset[str]
    every_column: bool
    shows_schema: bool


def one_statement(query: str) -> str:
    """The statement without what surrounds it. Raises BadRequest unless there is exactly one."""
    statement = query.strip().rstrip(";").strip()
    if not statement:
        raise BadRequest("the query is empty; send one SELECT")
    if ";" in statement:
        raise BadRequest(r"send one statement; a semicolon inside a text can be written as \x3B")
    return statement


def inspect(tree: str, statement: str, databases: frozenset[str]) -> Mentions:
    """`tree`: what `EXPLAIN AST` says of the statement; `databases`: whose tables it may name. Raises BadRequest."""
    nodes = list(_nodes(tree))
    for node in nodes:
        _check(node, databases)
    return mentions(nodes, every_column=bool(_HIDDEN_JOIN.search(statement)))


def mentioned(tree: str) -> Mentions:
    """The same of a statement of our own, which is not checked."""
    return mentions(list(_nodes(tree)))


def mentions(nodes: list[Node], every_column: bool = False) -> Mentions:
    tables = {_last(node.value) for node in nodes if node.kind == "TableIdentifier"}
    identifiers = {node.value.strip() for node in nodes if node.kind == "Identifier"}
    parts = {part for name in identifiers for part in name.split(".")}
    aliases = {node.alias for node in nodes if node.kind == "TableIdentifier" and node.alias}
    stars = any(_ALL_COLUMNS.fullmatch(node.kind) and (node.above or "").lower() != "count" for node in nodes)
    # `x IN t` names a table like a column, and a table or its alias alone may mean its whole row.
    return Mentions(
        frozenset(tables | {_last(name) for name in identifiers}),
        frozenset(parts),
        every_column or stars or not identifiers.isdisjoint(tables | aliases),
        any(node.kind in _SHOWS for node in nodes),
    )


def _check(node: Node, databases: frozenset[str]) -> None:
    if node.parent is None and node.kind not in _STATEMENTS:
        raise BadRequest("only reading is allowed here: SELECT, SHOW TABLES, DESCRIBE, EXPLAIN")
    if node.kind == "Literal" and node.parent in _STATEMENTS:
        raise BadRequest("INTO OUTFILE is not allowed here")
    if node.kind == "Set" and node.parent != "Explain":
        raise BadRequest("only reading is allowed here, and settings are fixed")
    if node.kind == "ColumnsApplyTransformer":  # the parser does not show which function is applied
        raise BadRequest("APPLY is not allowed here")
    if node.kind == "Function" and node.parent == "TableExpression":
        if node.value.lower() not in _TABLE_FUNCTIONS:
            raise BadRequest(f"table function {node.value} is not allowed here")
    elif node.kind == "Function" and _REFUSED_FUNCTIONS.fullmatch(node.value):
        raise BadRequest(f"function {node.value} is not allowed here")
    if node.kind in {"TableIdentifier", "Identifier", *_STATEMENTS}:
        _check_name(node.kind, node.value, databases)


def _check_name(kind: str, name: str, databases: frozenset[str]) -> None:
    database, _, table = name.strip().rpartition(".")
    database = database.strip().lower()
    if database == "system" and table in _SYSTEM_TABLES:
        return
    foreign = kind == "TableIdentifier" and database not in {"", *databases}
    if foreign or database in {"system", "information_schema"}:
        raise BadRequest(f"table {name} is not open to queries; SHOW TABLES lists those that are")


def _nodes(tree: str) -> Iterator[Node]:
    """Every node of the tree.

    A line break inside a quoted name can add lines here; it cannot hide one, since a line must fit below the one above.
    """
    path: list[tuple[str, str]] = []
    for line in tree.split("\n"):
        match = _NODE.fullmatch(line)
        if not match:
            continue
        depth, kind, value = len(match[1]), match[2], match[3] or ""
        if depth > len(path):
            raise BadRequest("names with line breaks are not allowed here")
        del path[depth:]
        alias = _ALIAS.search(line)
        above = path[-2][1] if len(path) > 1 else None
        yield Node(path[-1][0] if path else None, above, kind, value, alias[1] if alias else "")
        path.append((kind, value))


def _last(name: str) -> str:
    return name.strip().rpartition(".")[2]
