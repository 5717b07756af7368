"""Every error a person can meet, in one tree.

SpanledgerError
├── SettingsError      a flag or environment value that cannot be used
├── StoreError         ClickHouse refused or cannot be reached
│   ├── EngineError    the engine or its driver failed
│   ├── StoreBusy      another process owns the data folder
│   └── SchemaError    the schema is newer than, or differs from, this program
├── BadRequest         the caller's input cannot be used (HTTP 422)
│   └── UnknownReference   it names something that is not there
├── NotFound           no such message, conversation, trace … (HTTP 404)
├── TooLarge           over a size limit (HTTP 413)
├── Refused            not allowed (HTTP 403)
│   ├── Misdirected        meant for another host (HTTP 421)
│   └── Unauthenticated    no key, or one that is not good (HTTP 401)
├── LimitExceeded      a limit (HTTP 429) or a budget (HTTP 402) is used up
├── Elsewhere          a part that this process does not run (HTTP 503)
└── UpstreamError      the model provider failed (HTTP 502)

A message says what happened and what to do about it. Some messages contain text of the engine or of this machine (rows,
paths, addresses). Such text goes to the log and the operator's terminal only; `public_message` is what an answer over
the network may contain. `telemetry_message` is what spans and logs may contain: errors of providers and tools may quote
a user.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class SpanledgerError(Exception):
    """Base of all errors whose message is meant for the person who caused or must fix it.

    `members` and `headers` go with it into the problem that the caller gets.
    """

    title = "Internal error"
    status = 500
    public_text = ""  # replaces the message in answers over the network; empty: the message itself
    telemetry_text = ""  # replaces a message that may quote a user in spans and logs; empty: the message itself
    members: Mapping[str, Any] = {}
    headers: Mapping[str, str] = MappingProxyType({})


class SettingsError(SpanledgerError):
    title = "Unusable setting"
    public_text = "a setting of this service cannot be used; the log says which"


class StoreError(SpanledgerError):
    title = "Store unavailable"
    status = 503


class EngineError(StoreError):
    """In the words of the engine, of its driver or of the network to it."""

    public_text = "the store could not do it; the log says why"


class TookTooLong(StoreError):
    """A statement reached the time that its store allows."""

    title = "Took too long"


class StoreBusy(StoreError):
    title = "Data folder in use"


class SchemaError(StoreError):
    title = "Schema does not fit this version"
    public_text = EngineError.public_text


class BadRequest(SpanledgerError):
    title = "Unusable request"
    status = 422


class UnknownReference(BadRequest):
    title = "Unknown reference"
    error_type = "unknown_reference"


class NotFound(SpanledgerError):
    title = "Not found"
    status = 404


class TooLarge(SpanledgerError):
    title = "Too large"
    status = 413


class Refused(SpanledgerError):
    title = "Refused"
    status = 403


class Misdirected(Refused):
    """The request names a host that this service is not."""

    status, title = 421, "Misdirected request"


class Unauthenticated(Refused):
    title = "Key needed"
    status = 401
    error_type = "unauthenticated"
    headers: Mapping[str, str] = MappingProxyType({"WWW-Authenticate": 'Bearer realm="spanledger"'})


class LimitExceeded(SpanledgerError):
    """`limit` is the name of the limit; it lets calls through again at `reset_at` (RFC 3339)."""

    title = "Limit exceeded"

    def __init__(self, message: str, *, limit: str, status: int, retry_after_s: int, reset_at: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = "rate_limit_exceeded" if status == 429 else "insufficient_quota"  # OpenAI's codes
        self.members = {"limit": limit, "reset_at": reset_at}
        self.headers = {"Retry-After": str(retry_after_s)}


class Elsewhere(SpanledgerError):
    title = "Not in this process"
    status = 503


class UpstreamError(SpanledgerError):
    title = "Model provider failed"
    status = 502


def telemetry_message(error: BaseException) -> str:
    """The text of an error for spans and logs: without content of conversations."""
    return (error.telemetry_text if isinstance(error, SpanledgerError) else "") or str(error)


def public_message(error: BaseException) -> str:
    """The text of an error for answers over the network."""
    if not isinstance(error, SpanledgerError):
        return f"an error inside ({type(error).__name__}); the log holds it"
    return error.public_text or str(error)
