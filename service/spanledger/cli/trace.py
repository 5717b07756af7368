"""`spanledger trace`: the tree of a trace with times, tokens, cost and errors."""

from collections import defaultdict
from typing import Annotated, Any

import typer

from spanledger.cli.common import TENANT, existing, opened, running_api
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import print_json
from spanledger.settings import Settings

EXAMPLES = """\
  spanledger trace 4bf92f3577b34da6a3ce929d0e0e4736
  spanledger trace my-conversation --json
"""

Span = dict[str, Any]


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def trace(
    place: Place,
    id: Annotated[str, typer.Argument(metavar="ID", help="A trace, correlation, message or conversation id.")],
    as_json: Json = False,
) -> int:
    """Shows the tree of a trace, with times, tokens, cost and errors."""
    found = _find(place.settings(), id)
    if as_json:
        print_json(found)
    else:
        print(render(found))
    return 0


def _find(chosen: Settings, name: str) -> dict[str, Any]:
    api = running_api(chosen)
    if api is not None:
        answer: dict[str, Any] = api.get("/v1/traces", name, any=1)
        return answer
    from dataclasses import asdict

    from spanledger.stats import traces

    existing(chosen)
    with opened(chosen) as store:
        return asdict(traces.find(store, TENANT, name))


def render(found: dict[str, Any]) -> str:
    """One tree per trace, then the logs, then the total."""
    known = ["conversation_id", "user_id", "workflow"]
    if len(found["trace_ids"]) == 1:
        known += ["message_id", "correlation_id"]
    lines = [" · ".join(f"{name} {found[name]}" for name in known if found[name])]
    for trace_id in found["trace_ids"]:
        spans = [span for span in found["spans"] if span["trace_id"] == trace_id]
        lines += [f"trace {trace_id}", *_tree(spans)]
    if found["logs"]:
        lines.append("logs")
        lines += [
            f"  {log['at'][11:23]} {log['severity'] or '-':5} {log['body'] or log['event_name']}"
            for log in found["logs"]
        ]
    if found["truncated"]:
        lines.append("… there is more than is shown here")
    lines.append(f"total: {_usage(found['usage'], calls=True)}")
    return "\n".join(line for line in lines if line)


def _tree(spans: list[Span]) -> list[str]:
    ids = {span["span_id"] for span in spans}
    below: dict[str | None, list[Span]] = defaultdict(list)
    for span in spans:
        parent = span["parent_span_id"]
        below[parent if parent in ids and parent != span["span_id"] else None].append(span)
    lines: list[str] = []
    shown: set[str] = set()
    _walk(below, None, "", lines, shown)
    # What hangs on a cycle of parents has no root; it is shown all the same.
    lines += [f"  (cycle) {_line(span)}" for span in spans if span["span_id"] not in shown]
    return lines


def _walk(
    below: dict[str | None, list[Span]], root: str | None, indent: str, lines: list[str], shown: set[str]
) -> None:
    stack = [(span, indent, i == len(below[root]) - 1) for i, span in enumerate(below[root])][::-1]
    while stack:
        span, indent, last = stack.pop()
        shown.add(span["span_id"])
        lines.append(f"  {indent}{'└─ ' if last else '├─ '}{_line(span)}")
        children = below.get(span["span_id"], [])
        deeper = indent + ("   " if last else "│  ")
        stack += [(child, deeper, i == len(children) - 1) for i, child in enumerate(children)][::-1]


def _line(span: Span) -> str:
    parts = [span["name"] or "(no name)", f"[{span['role']}]" if span["role"] else "", _duration(span["duration_ms"])]
    if span["model"] and span["model"] not in span["name"]:
        parts.append(span["model"])
    if span["usage"]:
        parts.append(_usage(span["usage"]))
    if span["status"] == "error":
        parts.append("ERROR " + ": ".join(t for t in (span["error_type"], span["status_message"]) if t))
    if span["anomalies"]:
        parts.append("anomalies: " + ", ".join(span["anomalies"]))
    return "  ".join(part for part in parts if part)


def _usage(usage: dict[str, Any], calls: bool = False) -> str:
    details = [
        f"{usage[name]} {word}"
        for name, word in (
            ("cache_read_input_tokens", "cached"),
            ("cache_write_input_tokens", "cache-written"),
            ("reasoning_output_tokens", "reasoning"),
        )
        if usage[name]
    ]
    served = f"{usage['llm_calls']} calls, " if calls else ""
    failed = f", {usage['failed_calls']} failed" if usage["failed_calls"] else ""
    more = f" ({', '.join(details)})" if details else ""
    tokens = f"{usage['input_tokens']} in + {usage['output_tokens']} out{more}"
    return f"{served}{tokens}, ${usage['cost_usd']} {usage['cost_state']}{failed}"


def _duration(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.1f} ms"
