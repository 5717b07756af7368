"""Answers of the chat routes."""

import logging
from collections.abc import Sequence
from decimal import Decimal

from spanledger.api.streams import Running
from spanledger.errors import SpanledgerError
from spanledger.stats import usage
from spanledger.workflows import Outcome
from spanledger.workflows.run import CallRecord

_log = logging.getLogger(__name__)
_TOKENS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)


def usage_of_calls(calls: Sequence[CallRecord]) -> usage.Usage:
    """The calls' usage, as the books will say it."""
    return usage.total(_sums(call) for call in calls)


def _sums(call: CallRecord) -> dict[str, int | Decimal]:
    """One call as a row of the ledger's columns."""
    served = call.usage is not None and call.priced is not None
    row: dict[str, int | Decimal] = {
        "llm_calls": int(served),
        "failed_calls": int(not served and not call.cached),
        "cost_usd": Decimal(0),
    }
    row |= {f"{state}_calls": 0 for state in ("billed", "computed", "estimated", "unpriced")}
    row |= {name: (getattr(call.usage, name) or 0) if call.usage is not None else 0 for name in _TOKENS}
    if call.priced is not None:
        row[f"{call.priced.state}_calls"] = 1
        row["cost_usd"] = call.priced.cost_usd or Decimal(0)
    return row


def finished(running: Running) -> Outcome | Exception:
    """The outcome of streamed work, or its error: the status line is sent, so it must be an event of the stream."""
    try:
        outcome: Outcome = running.result()
    except Exception as exc:  # noqa: BLE001 — whatever it was, the stream must end with a word about it
        if not isinstance(exc, SpanledgerError):
            _log.exception("the stream failed")
        return exc
    return outcome
