"""Analyses and statements of conversations."""

from typing import Any

from spanledger.api.schemas.common import Answer
from spanledger.stats.fields import OrNull, Time
from spanledger.stats.statements import Analysis, MessageAnalysis
from spanledger.stats.usage import Usage


class ConversationAnalysis(Answer):
    """`analysis` null: `missing_because` says why. `messages`: what the live pass found in each."""

    conversation_id: str
    status: str
    analysis: Analysis | None
    missing_because: str | None
    messages: list[MessageAnalysis]


class SealedStatement(Answer):
    """One version. `cause`: `sealed`, `resumed`, `late` or `repriced`. `difference`: field → [before, now]."""

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


class StatementWithVersions(SealedStatement):
    """The newest version, and all of them, newest first."""

    versions: list[SealedStatement]
