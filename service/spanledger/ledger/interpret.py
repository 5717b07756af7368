"""What a span says, in canonical names: the facts of genai_spans → its other columns.

Nothing in here raises for any value a sender may invent; what cannot be used counts as unknown and leaves an anomaly.
Which key says what is data (clickhouse/dialects); `reading` finds it, `naming` and `figures` say what it means.
"""

import hashlib
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from spanledger.ledger.figures import COLUMNS, claim, first_chunk_ns, saved, tokens
from spanledger.ledger.naming import ending, error, names
from spanledger.ledger.reading import Lexicon, Reading, lexicon
from spanledger.ledger.values import as_list, parts

MAX_ID = 256
FEW = 4  # facts
_OTHER: dict[str, Any] = {
    **dict.fromkeys(("dialect", "role", "operation", "provider", "request_model", "response_model", "response_id"), ""),
    **dict.fromkeys(
        ("server_address", "service_tier", "finish_reason", "tool", "cost_claim_source", "response_cache"), ""
    ),
    **dict.fromkeys((*COLUMNS, "cost_claim_usd", "saved_usd", "time_to_first_chunk_ns")),
    "stream": 0,
    "usage_estimated": 0,
}


class Interpreter:
    """Reads spans by the given tables."""

    def __init__(self, by: Lexicon) -> None:
        self.by = by

        self._of_few = lru_cache(maxsize=10_000)(self._read_few)

    def columns(self, span: Mapping[str, Any]) -> Mapping[str, Any]:
        """The canonical columns of a row that has `facts` (pairs or a mapping), `scope`, `span_name`, `status`,
        `started_at_ns`, `duration_ns`, `anomalies`."""
        facts = span["facts"]
        if len(facts) <= FEW and not span["anomalies"]:  # steps and requests say the same over and over
            pairs = tuple(facts.items() if isinstance(facts, Mapping) else facts)
            known = self._of_few(span["scope"], span["span_name"], span["status"], pairs)
            if known is not None:
                return known
        return self._columns(Reading(self.by, span), span)

    def _read_few(
        self, scope: str, name: str, status: str, facts: tuple[tuple[str, str], ...]
    ) -> dict[str, Any] | None:
        """The columns of a span that is no call, which its times have no part in."""
        span = {"scope": scope, "span_name": name, "status": status, "facts": facts, "anomalies": ()}
        read = Reading(self.by, span)
        return None if read.is_call else self._columns(read, span)

    def _columns(self, read: Reading, span: Mapping[str, Any]) -> dict[str, Any]:
        anomalies: list[str] = list(span["anomalies"])
        if read.is_genai:
            columns = _genai(read, span, anomalies)
        else:
            status, error_type = error(read, span["status"])
            columns = {**_OTHER, "tools_requested": [], "status": status, "error_type": error_type}
        columns.update(_context(read, anomalies))
        columns["anomalies"] = sorted(set(anomalies)) if anomalies else []
        return columns


@cache
def interpreter() -> Interpreter:
    """By the tables of this installation."""
    return Interpreter(lexicon())


def _genai(read: Reading, span: Mapping[str, Any], anomalies: list[str]) -> dict[str, Any]:
    end = ending(read, span["status"])
    who = names(read, end.status)
    amount, source = claim(read, who.provider, anomalies)
    first_chunk = None
    if read.is_call:
        first_chunk = first_chunk_ns(read, end.is_stream, span["started_at_ns"], span["duration_ns"])
    return {
        "dialect": read.dialect,
        "role": read.role,
        "operation": read.operation,
        "provider": who.provider,
        "request_model": who.request_model,
        "response_model": who.response_model,
        "response_id": _id("response_id", who.response_id, anomalies),
        "server_address": who.server,
        "service_tier": read.x("service_tier").lower(),
        "stream": int(end.is_stream),
        "finish_reason": end.finish_reason,
        "status": end.status,
        "error_type": end.error_type,
        "tool": (read.x("tool") or read.r("entity") or read.name) if read.role == "tool" else "",
        "tools_requested": _tools_requested(read) if read.is_call else [],
        **tokens(read, who.provider, end, anomalies),
        "cost_claim_usd": amount,
        "cost_claim_source": source,
        "response_cache": _response_cache(read),
        "saved_usd": saved(read) if read.is_call else None,
        "time_to_first_chunk_ns": first_chunk,
    }


def _response_cache(read: Reading) -> str:
    """`hit`: a cache answered and no provider was asked; `miss`: the cache was asked in vain; '': none was asked."""
    said = read.x("response_cache").lower() if read.is_call else ""
    return {"true": "hit", "1": "hit", "hit": "hit", "false": "miss", "0": "miss", "miss": "miss"}.get(said, "")


def _context(read: Reading, anomalies: list[str]) -> dict[str, Any]:
    """Who and what a span belongs to, as far as it says itself."""
    correlation = read.x("correlation_id")
    if correlation.startswith('["'):
        correlation = next((value for value in as_list(correlation) if isinstance(value, str)), "")
    entity = read.r("entity")
    return {
        "conversation_id": _id("conversation_id", read.x("conversation_id"), anomalies),
        "message_id": _id("message_id", read.x("message_id"), anomalies),
        "user_id": _id("user_id", read.x("user_id"), anomalies),
        "correlation_id": _id("correlation_id", correlation, anomalies),
        "workflow": read.x("workflow") or (entity if read.role == "workflow" else ""),
        "agent": read.x("agent") or (entity if read.role == "agent" else "") or read.x("node"),
        "prompt": read.x("prompt"),
        "prompt_version": read.x("prompt_version"),
        "variant": _variant(read),
    }


def _variant(read: Reading) -> str:
    """Variants of different experiments may share a name; with its experiment's before it, it stands alone."""
    experiment, variant = read.r("experiment"), read.x("variant")
    return f"{experiment}/{variant}" if experiment and variant else variant


def _id(field: str, value: str, anomalies: list[str]) -> str:
    """An id of at most MAX_ID characters; longer ones are cut, but stay apart."""
    if len(value) <= MAX_ID:
        return value
    anomalies.append("long:" + field)
    return f"{value[:200]}~{hashlib.sha256(value.encode(errors='replace')).hexdigest()[:16]}"


def _tools_requested(read: Reading) -> list[str]:
    """The tools that the model asked for in its answer."""
    found: list[Any] = [read.x("tool"), *read.tools_asked]
    messages = read.r("output_messages")
    if "tool_call" in messages:
        asked = [p for m in as_list(messages) for p in parts(m) if isinstance(p, dict) and p.get("type") == "tool_call"]
        found += [part.get("name") for part in asked]
    found += [c.get("toolName") or c.get("name") for c in as_list(read.r("tool_calls")) if isinstance(c, dict)]
    return sorted({name for name in found if name and isinstance(name, str)})
