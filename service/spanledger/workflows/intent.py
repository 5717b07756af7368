"""A call before it is made, with its highest or typical usage, so that a gate can refuse it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spanledger.pricing import PriceBook, Usage, cost
from spanledger.workflows import tokens
from spanledger.workflows.model import ModelRequest, Name
from spanledger.workflows.run import Intent

TYPICAL_OUTPUT_TOKENS = 500  # of an answer whose length the request does not bound


def intended(name: Name, request: ModelRequest, book: PriceBook) -> Intent:
    """Counts the prompt: not for the event loop."""
    used = tokens.count_prompt(request.messages, request.parameters.get("tools"))
    output_tokens = _most(request.parameters) * max(1, _whole(request.parameters.get("n")))
    price = book.lookup(name.provider, name.model, datetime.now(UTC))
    usd = cost(price, Usage(input_tokens=used, output_tokens=output_tokens)).usd if price is not None else None
    return Intent(name.provider, name.model, used + output_tokens, usd)


def _most(parameters: Mapping[str, Any]) -> int:
    return (
        _whole(parameters.get("max_completion_tokens")) or _whole(parameters.get("max_tokens")) or TYPICAL_OUTPUT_TOKENS
    )


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
