"""A trace as rows of a tree, a page at a time: what each span is, and what it and all below it used."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spanledger.errors import BadRequest, NotFound
from spanledger.stats.times import format_time, milliseconds
from spanledger.stats.usage import Usage, total
from spanledger.store import queries
from spanledger.store.client import Store

MAX_SPANS = 100_000
_CALLS = frozenset({"inference", "embedding", "rerank"})
_ABOUT = ("message_id", "conversation_id", "user_id", "correlation_id", "workflow")
_SEARCHED = ("span_name", "model", "tool", "agent", "error_type", "service", "operation", "span_id")


@dataclass(frozen=True)
class Row:
    """One span. `usage` is what the books count for it, `subtree` for it and all below it; None where that is nothing.

    `counted`: `call` when this span stands for a call that a provider served, `failed` for one that failed and billed
    nothing, `told` when it repeats a call that another span stands for, else empty. `offset_ms` is from the start
    of the trace.
    """

    span_id: str
    parent_span_id: str | None
    depth: int
    children: int
    descendants: int
    name: str
    role: str
    operation: str
    service: str
    scope: str
    provider: str
    model: str
    agent: str
    tool: str
    status: str
    error_type: str
    errors_below: int
    anomalies: list[str]
    started_at: str
    offset_ms: float
    duration_ms: float
    counted: str
    usage: Usage | None
    subtree: Usage | None


@dataclass(frozen=True)
class TraceRows:
    """`rows` are in the order of the tree, siblings by time. `spans`: of the trace; `matched`: of them shown over all
    pages. `truncated`: the trace has more than 100,000 spans. `message_id` to `workflow`: of the first span that names
    one, else empty."""

    trace_id: str
    message_id: str
    conversation_id: str
    user_id: str
    correlation_id: str
    workflow: str
    started_at: str
    duration_ms: float
    spans: int
    matched: int
    errors: int
    usage: Usage
    rows: list[Row]
    next_cursor: str | None
    truncated: bool


@dataclass
class _Node:
    row: Mapping[str, Any]
    children: list["_Node"] = field(default_factory=list)
    descendants: int = 0
    errors_below: int = 0
    sums: list[Mapping[str, Any]] = field(default_factory=list)  # ledger sums of itself and all below


def trace_rows(
    store: Store,
    tenant: str,
    trace_id: str,
    limit: int = 500,
    cursor: str | None = None,
    search: str = "",
    closed: Sequence[str] = (),
) -> TraceRows:
    """`search`: only spans that hold this text, with those above them. `closed`: spans whose children are left out.

    Raises NotFound, BadRequest for a broken cursor.
    """
    found = store.dicts(queries.sql("trace_outline"), {"tenant": tenant, "trace_id": trace_id, "limit": MAX_SPANS + 1})
    if not found:
        raise NotFound(f"there is no trace {trace_id!r}")
    outline = found[:MAX_SPANS]
    sums = store.dicts(queries.sql("trace_usage"), {"tenant": tenant, "trace_ids": [trace_id]})
    used = {row["span_id"]: row for row in sums}
    nodes = _forest(outline)
    order = _counted_up(nodes, used)
    shown = _matching(order, search.casefold()) if search else None
    listed = [item for item in _walk(nodes, frozenset(closed)) if shown is None or item[1].row["span_id"] in shown]
    first = _position(cursor)
    start_ns = min(row["started_ns"] for row in outline)
    end_ns = max(row["started_ns"] + row["duration_ns"] for row in outline)
    return TraceRows(
        trace_id=trace_id,
        **{name: next((row[name] for row in outline if row[name]), "") for name in _ABOUT},
        started_at=format_time(start_ns),
        duration_ms=milliseconds(end_ns - start_ns),
        spans=len(outline),
        matched=len(listed),
        errors=sum(row["status"] == "error" for row in outline),
        usage=total(sums),
        rows=[_row(depth, node, used, start_ns) for depth, node in listed[first : first + limit]],
        next_cursor=str(first + limit) if len(listed) > first + limit else None,
        truncated=len(found) > MAX_SPANS,
    )


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 8):
        raise BadRequest("cursor is not one that this API gave out; leave it away to start over")
    return int(cursor)


def _forest(outline: Sequence[Mapping[str, Any]]) -> list[_Node]:
    """The roots in time order. A span whose parent is missing, or that is its own ancestor, is a root."""
    nodes = {row["span_id"]: _Node(row) for row in outline}
    roots = []
    for node in nodes.values():
        parent = nodes.get(node.row["parent_span_id"])
        if parent is None or parent is node:
            roots.append(node)
        else:
            parent.children.append(node)
    reached = {node.row["span_id"] for _, node in _walk(roots, frozenset())}
    for span_id, node in nodes.items():
        if span_id not in reached:  # a circle: it is opened at its earliest span
            nodes[node.row["parent_span_id"]].children.remove(node)
            roots.append(node)
            reached |= {below.row["span_id"] for _, below in _walk([node], frozenset())}
    return roots


def _walk(roots: Sequence[_Node], closed: frozenset[str]) -> Iterator[tuple[int, _Node]]:
    """Depth and node, each before its children."""
    stack = [(0, node) for node in reversed(roots)]
    while stack:
        depth, node = stack.pop()
        yield depth, node
        if node.row["span_id"] not in closed:
            stack += [(depth + 1, child) for child in reversed(node.children)]


def _counted_up(roots: Sequence[_Node], used: Mapping[str, Mapping[str, Any]]) -> list[_Node]:
    """Fills in what lies below each node; returns all nodes, each before its children."""
    order = [node for _, node in _walk(roots, frozenset())]
    for node in reversed(order):
        own = used.get(node.row["span_id"])
        node.sums = [own] if own is not None else []
        for child in node.children:
            node.descendants += 1 + child.descendants
            node.errors_below += child.errors_below + (child.row["status"] == "error")
            node.sums = _added(node.sums, child.sums)
    return order


def _added(first: list[Mapping[str, Any]], second: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """At most one row: the sum of both."""
    if not first or not second:
        return first or second
    left, right = first[0], second[0]
    return [{name: left[name] + right[name] for name in left if name not in ("trace_id", "span_id")}]


def _matching(order: Sequence[_Node], text: str) -> set[str]:
    """The ids of the spans that hold the text, and of all above them."""
    shown: set[str] = set()
    for node in reversed(order):
        inside = any(text in str(node.row[name]).casefold() for name in _SEARCHED)
        if inside or any(child.row["span_id"] in shown for child in node.children):
            shown.add(node.row["span_id"])
    return shown


def _row(depth: int, node: _Node, used: Mapping[str, Mapping[str, Any]], start_ns: int) -> Row:
    row = node.row
    own = _usage([used[row["span_id"]]] if row["span_id"] in used else [])
    subtree = _usage(node.sums)
    return Row(
        span_id=row["span_id"],
        parent_span_id=row["parent_span_id"] or None,
        depth=depth,
        children=len(node.children),
        descendants=node.descendants,
        name=row["span_name"],
        **{name: row[name] for name in ("role", "operation", "service", "scope", "provider", "model", "agent", "tool")},
        status=row["status"],
        error_type=row["error_type"],
        errors_below=node.errors_below,
        anomalies=list(row["anomalies"]),
        started_at=format_time(row["started_ns"]),
        offset_ms=milliseconds(row["started_ns"] - start_ns),
        duration_ms=milliseconds(row["duration_ns"]),
        counted=_counted(row["role"], own),
        usage=own,
        subtree=subtree,
    )


def _counted(role: str, own: Usage | None) -> str:
    if own is not None:
        return "call" if own.llm_calls else "failed"
    return "told" if role in _CALLS else ""


def _usage(sums: Sequence[Mapping[str, Any]]) -> Usage | None:
    used = total(sums)
    return used if used.llm_calls or used.failed_calls else None
