"""`spanledger trace`: the tree of a trace with times, tokens, cost and errors."""

from contextlib import suppress
from typing import Annotated, Any

import typer

from spanledger.cli.common import TENANT, existing, opened, running_api
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import Branch, Column, first_line, print_json, print_table, print_tree, spent
from spanledger.client import Api
from spanledger.errors import NotFound, SpanledgerError
from spanledger.settings import Settings

EXAMPLES = """\
  spanledger trace 4bf92f3577b34da6a3ce929d0e0e4736
  spanledger trace my-conversation --json
"""

Span = dict[str, Any]


_NEWEST = (
    '`spanledger sql "SELECT conversation_id, message_id, trace_id FROM messages ORDER BY started_at DESC LIMIT 9"`'
)
app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def trace(
    place: Place,
    id: Annotated[str, typer.Argument(metavar="ID", help="A trace, correlation, message or conversation id.")],
    as_json: Json = False,
) -> int:
    """Shows the tree of a trace, with times, tokens, cost and errors."""
    try:
        found = _find(place.settings(), id)
    except NotFound as exc:
        raise NotFound(
            f"{exc}; {_NEWEST} lists the newest messages, `spanledger status` shows whether spans wait"
        ) from exc
    if as_json:
        print_json(found)
    else:
        _show(found)
    return 0


def _find(chosen: Settings, name: str) -> dict[str, Any]:
    api = running_api(chosen)
    if api is not None:
        return _ask(api, name)
    from dataclasses import asdict

    from spanledger.stats import traces

    existing(chosen)
    with opened(chosen) as store:
        return asdict(traces.find(store, TENANT, name))


def _ask(api: Api, name: str) -> dict[str, Any]:
    """A trace that is not found may be waiting to be loaded: everything acknowledged is, and it is looked for again."""
    try:
        answer: dict[str, Any] = api.get("/v1/traces", name, any=1)
    except NotFound:
        with suppress(SpanledgerError):
            api.post("/v1/flush?only=spans", {})
        answer = api.get("/v1/traces", name, any=1)
    return answer


def _show(found: dict[str, Any]) -> None:
    """One tree per trace, then the logs, then the total."""
    known = ["conversation_id", "user_id", "workflow"]
    if len(found["trace_ids"]) == 1:
        known += ["message_id", "correlation_id"]
    if named := " · ".join(f"{name} {found[name]}" for name in known if found[name]):
        print(named)
    for trace_id in found["trace_ids"]:
        spans = [span for span in found["spans"] if span["trace_id"] == trace_id]
        print_tree(Branch(f"trace {trace_id}", "bold", _roots(spans)))
    if found["logs"]:
        print("logs")
        columns = [Column(width=1), Column(width=12), Column(width=5), Column()]
        print_table(columns, [("", log["at"][11:23], log["severity"] or "-", _log(log)) for log in found["logs"]])
    if found["truncated"]:
        print("… there is more than is shown here")
    print(f"total: {_usage(found['usage'], calls=True)}")


def _log(log: dict[str, Any]) -> str:
    return first_line(log["body"] or log["event_name"])


def _roots(spans: list[Span]) -> list[Branch]:
    """The spans without a parent here, everything else below them."""
    branches = {span["span_id"]: Branch(_line(span), "red" if span["status"] == "error" else "") for span in spans}
    roots: list[Branch] = []
    for span in spans:
        branch, parent = branches[span["span_id"]], branches.get(span["parent_span_id"])
        (roots if parent is None or parent is branch else parent.below).append(branch)
    reached = set()
    waiting = list(roots)
    while waiting:
        branch = waiting.pop()
        reached.add(id(branch))
        waiting += branch.below
    # What hangs on a cycle of parents has no root; it is shown all the same.
    cycles = [branch for branch in branches.values() if id(branch) not in reached]
    return roots + [Branch(f"(cycle) {branch.text}", branch.style) for branch in cycles]


def _line(span: Span) -> str:
    parts = [span["name"] or "(no name)", f"[{span['role']}]" if span["role"] else "", _duration(span["duration_ms"])]
    if span["model"] and span["model"] not in span["name"]:
        parts.append(span["model"])
    if span["usage"]:
        parts.append(_usage(span["usage"]))
    if span["status"] == "error":
        parts.append("ERROR " + ": ".join(t for t in (span["error_type"], first_line(span["status_message"])) if t))
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
    return f"{served}{tokens}, {spent(usage['cost_usd'], usage['cost_state'])}{failed}"


def _duration(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.1f} ms"
