"""What a conversation came to, as it is sealed: from the books, against the version before."""

import json
from dataclasses import asdict
from typing import Any, Final

from spanledger.stats.conversations import Conversation
from spanledger.stats.statements import Statement
from spanledger.stats.times import format_time, parse_time
from spanledger.telemetry import semconv
from spanledger.telemetry.seal import digest, seal
from spanledger.telemetry.setup import MAX_ATTRIBUTE_CHARS

EVENT: Final = "spanledger.statement"
_COMPARED = ("message_count", "first_at", "last_at", "user_id", "models")
_NOT_COMPARED = frozenset({"total_tokens"})
# What a seal covers, in the order of view statements_mv.
_SEALED = (
    *("conversation_id", "version", "cause", "sealed_ns", "first_ns", "last_ns", "user_id", "message_count", "models"),
    *("llm_calls", "failed_calls", "input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
    *("output_tokens", "reasoning_output_tokens", "cost_usd", "cost_state", "priced_share", "difference", "analysis"),
)
_MONEY = frozenset({"usage.cost_usd", "usage.cost_state", "usage.priced_share"})


def drawn_up(found: Conversation, before: Statement | None, now_ns: int) -> Statement | None:
    """The next version; None when the one before says it all."""
    difference = _difference(before, found) if before is not None else {}
    if before is not None and not difference:
        return None
    return Statement(
        conversation_id=found.conversation_id,
        version=1 if before is None else before.version + 1,
        cause=_cause(found, before, difference),
        sealed_at=format_time(now_ns),
        first_at=found.first_at,
        last_at=found.last_at,
        user_id=found.user_id,
        message_count=found.message_count,
        models=found.models,
        usage=found.usage,
        difference=difference,
        analysis="",
        trace_id="",
        first_ns=parse_time(found.first_at),
        last_ns=parse_time(found.last_at),
    )


def attributes(statement: Statement, tenant: str, secret: str) -> dict[str, str | int]:
    """As attributes of the event, sealed; view statements_mv reads them, and their digest in this order."""
    usage = {name: value for name, value in asdict(statement.usage).items() if name not in _NOT_COMPARED}
    usage["priced_share"] = repr(usage["priced_share"])
    facts: dict[str, str | int] = {
        "conversation_id": statement.conversation_id,
        "version": statement.version,
        "cause": statement.cause,
        "sealed_ns": parse_time(statement.sealed_at),
        "first_ns": statement.first_ns,
        "last_ns": statement.last_ns,
        "user_id": statement.user_id or "",
        "message_count": statement.message_count,
        "models": json.dumps(statement.models),
        **usage,
        "difference": json.dumps(statement.difference) if statement.difference else "",
        "analysis": statement.analysis,
    }
    texts = [tenant, statement.trace_id or "", *(str(facts[name])[:MAX_ATTRIBUTE_CHARS] for name in _SEALED)]
    sealed = seal(secret, digest(texts))
    named = {f"{EVENT}.{name}": value for name, value in facts.items()}
    return named | {semconv.SEAL: sealed} if sealed else named


def _difference(before: Statement, now: Conversation) -> dict[str, list[Any]]:
    """Field → [before, now]."""
    fields = {name: (getattr(before, name), getattr(now, name)) for name in _COMPARED}
    old, new = asdict(before.usage), asdict(now.usage)
    fields |= {f"usage.{name}": (old[name], new[name]) for name in old if name not in _NOT_COMPARED}
    return {name: [was, is_now] for name, (was, is_now) in fields.items() if was != is_now}


def _cause(found: Conversation, before: Statement | None, difference: dict[str, Any]) -> str:
    if before is None:
        return "sealed"
    if difference.keys() <= _MONEY:
        return "repriced"
    went_on = found.message_count > before.message_count and parse_time(found.last_at) > before.last_ns
    return "resumed" if went_on else "late"
