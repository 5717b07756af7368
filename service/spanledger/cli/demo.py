"""What `up --demo` does once it is ready: a small workload through the real workflows, and what it cost."""

import asyncio
import logging
import shlex
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from spanledger.access import operator
from spanledger.cli.output import spent
from spanledger.client import Api
from spanledger.errors import SpanledgerError
from spanledger.settings import Settings
from spanledger.stats.usage import decimal_text

Say = Callable[[str], None]
log = logging.getLogger(__name__)

_ROW = "  {:16} {:8} {:>8} {:>6} {:>6} {:>10} {:>10} {:>14}  {}"


def play(api_url: str, say: Say, data_dir: Path, console: bool = True) -> None:
    """Drives the demo against the API at `api_url`, then prints tokens and cost per conversation, and where to look."""
    import httpx

    from spanledger.workflows import demo

    token = operator.read(data_dir)
    say("demo: talking to the offline models …")
    try:
        conversations = asyncio.run(demo.run(api_url, token))
        api = Api(api_url, token=token)
        api.post("/v1/flush", {})
        found = [api.get("/v1/conversations", conversation) for conversation in conversations]
        total = api.get("/v1/usage", group_by="model")
    except (SpanledgerError, httpx.HTTPError) as exc:
        log.error("the demo did not come to its end: %s", exc)
        return
    for line in table(found):
        say(line)
    if console:
        say(f"\nlook at   {api_url}/   (the console: every figure opens what it is made of)")
    for line in _look_on(api_url, conversations[0], total, _flag(data_dir)):
        say(line)


def table(conversations: Iterable[dict[str, Any]]) -> list[str]:
    """Tokens and cost per conversation, and their sum."""
    lines = [
        "",
        _ROW.format("conversation", "user", "messages", "calls", "failed", "input", "output", "cost USD", "state"),
    ]
    sums = {"message_count": 0, "llm_calls": 0, "failed_calls": 0, "input_tokens": 0, "output_tokens": 0}
    cost = Decimal(0)
    for one in conversations:
        usage = one["usage"]
        figures = {"message_count": one["message_count"], **{name: usage[name] for name in list(sums)[1:]}}
        sums = {name: sums[name] + figures[name] for name in sums}
        cost += Decimal(usage["cost_usd"])
        lines.append(
            _ROW.format(
                *(one["conversation_id"], one["user_id"], *figures.values()),
                *("" if usage["cost_state"] == "unpriced" else usage["cost_usd"], usage["cost_state"]),
            )
        )
    return [*lines, _ROW.format("total", "", *sums.values(), decimal_text(cost), "").rstrip()]


def _flag(data_dir: Path) -> str:
    """What the printed commands need in order to find this system."""
    return "" if data_dir == Settings.data_dir else f" --data-dir {shlex.quote(str(data_dir))}"


def _look_on(api_url: str, conversation: str, usage: dict[str, Any], flag: str) -> list[str]:
    models = ", ".join(
        f"{group['model']} {spent(group['usage']['cost_usd'], group['usage']['cost_state'])}"
        f" ({group['usage']['llm_calls']} calls)"
        for group in usage["groups"]
    )
    return [
        "",
        f"by model: {models}",
        f"look at   {api_url}/v1/conversations/{conversation}",
        f"          {api_url}/v1/usage?group_by=user,model&bucket=hour",
        f"          {api_url}/v1/realtime",
        f"          spanledger trace {conversation}{flag}",
        f"          spanledger audit{flag}",
        "serving; Ctrl-C stops",
    ]
