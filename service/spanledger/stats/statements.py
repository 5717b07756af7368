"""Sealed statements of conversations and what was analysed: read back from what the sealing reported."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from spanledger.stats.fields import OrNull, Time
from spanledger.stats.times import format_time
from spanledger.stats.usage import Usage, decimal_text
from spanledger.store import queries
from spanledger.store.client import Store

MAX_VERSIONS = 1000
_FIGURES = tuple(field.name for field in fields(Usage) if field.name not in {"total_tokens", "cost_usd"})


@dataclass(frozen=True)
class Statement:
    """One version. `cause`: `sealed` (the first), `resumed` (the conversation had gone on), `late` (spans came after
    sealing), `repriced` (only the cost differs). `difference`: field → [before, now], empty for the first.
    `analysis`: `done`, `reused` (of the version before), or `none: ` and why."""

    conversation_id: str
    version: int
    cause: str
    sealed_at: Time
    first_at: Time
    last_at: Time
    user_id: OrNull
    message_count: int
    models: list[str]
    usage: Usage
    difference: dict[str, list[Any]]
    analysis: str
    trace_id: OrNull
    first_ns: int
    last_ns: int


def statements(store: Store, tenant: str, conversation_id: str, limit: int = MAX_VERSIONS) -> list[Statement]:
    """All versions, newest first."""
    rows = store.dicts(
        queries.sql("conversation_statements"),
        {"tenant": tenant, "conversation_id": conversation_id, "limit": limit},
    )
    return [_statement(conversation_id, row) for row in rows]


def newest_statements(store: Store, tenant: str, conversation_ids: Sequence[str]) -> dict[str, Statement]:
    """The newest version of each conversation that has one."""
    parameters = {"tenant": tenant, "conversation_ids": list(conversation_ids)}
    rows = store.dicts(queries.sql("newest_statements"), parameters)
    return {row["conversation_id"]: _statement(row["conversation_id"], row) for row in rows}


@dataclass(frozen=True)
class Analysis:
    """What the last sealing found. `model` is empty where rules alone spoke; `by_rules` names what they filled in."""

    analysed_at: Time
    trace_id: OrNull
    model: OrNull
    by_rules: list[str]
    content_source: OrNull
    title: OrNull
    summary: OrNull
    key_points: list[str]
    topics: list[str]
    commitments: list[str]
    sentiment: OrNull


@dataclass(frozen=True)
class MessageAnalysis:
    """What the live pass found in one message; `score` from −1 (negative) to 1."""

    message_id: str
    at: Time
    sentiment: str
    score: float
    topics: list[str]


def analysis(store: Store, tenant: str, versions: Sequence[Statement]) -> Analysis | None:
    """The newest analysis among the versions of a statement (newest first)."""
    done = [one.trace_id for one in versions if one.analysis == "done"][:1]
    rows = store.dicts(queries.sql("conversation_analysis"), {"tenant": tenant, "trace_ids": done}) if done else []
    return _analysis(rows[0]) if rows else None


def message_analyses(store: Store, tenant: str, trace_ids: Sequence[str]) -> list[MessageAnalysis]:
    """In time order."""
    rows = store.dicts(queries.sql("message_analyses"), {"tenant": tenant, "trace_ids": list(trace_ids)})
    return [
        MessageAnalysis(row["message_id"], format_time(row["at_ns"]), row["sentiment"], row["score"], row["topics"])
        for row in rows
    ]


def _statement(conversation_id: str, row: Mapping[str, Any]) -> Statement:
    return Statement(
        conversation_id=conversation_id,
        version=row["version"],
        cause=row["cause"],
        sealed_at=format_time(row["sealed_ns"]),
        first_at=format_time(row["first_ns"]),
        last_at=format_time(row["last_ns"]),
        user_id=row["user_id"],
        message_count=row["message_count"],
        models=list(row["models"]),
        usage=Usage(
            **{name: row[name] for name in _FIGURES},
            total_tokens=row["input_tokens"] + row["output_tokens"],
            cost_usd=decimal_text(row["cost_usd"]),
        ),
        difference=json.loads(row["difference"] or "{}"),
        analysis=row["analysis"],
        trace_id=row["trace_id"],
        first_ns=row["first_ns"],
        last_ns=row["last_ns"],
    )


def _analysis(row: Mapping[str, Any]) -> Analysis:
    attributes: Mapping[str, str] = row["attributes"]

    def text(name: str) -> str:
        return attributes.get(f"spanledger.analysis.{name}", "")

    def texts(name: str) -> list[str]:
        found = json.loads(text(name) or "[]")
        return [str(item) for item in found]

    return Analysis(
        analysed_at=format_time(row["at_ns"]),
        trace_id=row["trace_id"],
        model=text("model"),
        by_rules=texts("by_rules"),
        content_source=text("content_source"),
        title=text("title"),
        summary=text("summary"),
        key_points=texts("key_points"),
        topics=texts("topics"),
        commitments=texts("commitments"),
        sentiment=text("sentiment"),
    )
