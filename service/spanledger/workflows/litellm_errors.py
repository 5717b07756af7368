"""LiteLLM's exceptions as ours, mapped at this one edge. Retries and the caller's status follow from the kind."""

import logging
import re
from typing import Any

from spanledger.errors import SpanledgerError
from spanledger.workflows.model import ModelError, UnknownModel
from spanledger.workflows.offline_answers import PROVIDER as OFFLINE

_MAX_MESSAGE = 400
_PREFIXES = re.compile(r"^(?:(?:litellm\.)?\w+(?:Error|Exception)(?::| -) ?)+")
_NO_KEY = re.compile(r"missing credentials|api[_ ]key", re.IGNORECASE)
_RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_ADVICE = re.compile(r" To drop (these|it)\b.*")  # on LiteLLM's own settings
# What a client library raises for its own faults, before or after the request was sent.
_OF_THE_CLIENT = (TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, RecursionError)
_log = logging.getLogger(__name__)


def mapped(error: Exception) -> SpanledgerError:
    """The error to raise for whatever litellm raised."""
    # A stream that breaks is wrapped for litellm's own router; what went wrong is inside.
    error = getattr(error, "original_exception", None) or error
    kind = type(error).__name__
    status = _int(getattr(error, "status_code", None))
    provider = str(getattr(error, "llm_provider", "") or "the provider")
    message = _message_of(error)
    # A provider's message may quote the request. The offline provider quotes nothing.
    telemetry_text = (
        "" if provider == OFFLINE else f"{provider} failed ({status or kind}); its words may quote the request"
    )
    if kind == "NotFoundError":
        unknown = UnknownModel(message)
        unknown.telemetry_text = telemetry_text
        return unknown
    if kind == "BadRequestError" and "LLM Provider NOT provided" in message:
        return UnknownModel("no provider is known for this model; give it as provider/model")
    if (
        kind in {"AuthenticationError", "PermissionDeniedError"}
        or status in {401, 403}
        or (status == 500 and _NO_KEY.search(message))
    ):
        # Not the caller's fault, and the provider's words may quote a part of the key.
        return ModelError(
            f"{provider} refused this service's credentials, or they are missing: check its API key in the environment",
            error_type="401" if status != 403 else "403",
            status=502,
            retryable=False,
        )
    if inner := _failure_of_the_client(error):
        _log.warning("the client of %s failed", provider, exc_info=inner)
        return ModelError(
            f"the client of {provider} failed on the request or its answer ({type(inner).__name__}); the log says more",
            error_type=type(inner).__name__,
            status=502,
            retryable=False,
        )
    if kind in {"Timeout", "APITimeoutError", "TimeoutError"} or status == 408:
        return ModelError(f"{provider} did not answer in time", error_type="timeout", status=504, retryable=True)
    if kind == "APIConnectionError" and status in {None, 500}:
        cause = type(error.__cause__ or error.__context__ or error).__name__
        _log.warning("%s cannot be reached (%s)", provider, cause)  # its words may hold addresses, or the request
        return ModelError(f"{provider} cannot be reached", error_type="connection_error", status=502, retryable=True)
    if status == 429:
        return ModelError(
            message,
            error_type="429",
            status=429,
            retryable=True,
            retry_after_s=_retry_after(error),
            telemetry_text=telemetry_text,
        )
    if status is not None and 400 <= status < 500 and status not in _RETRYABLE:
        return ModelError(message, error_type=str(status), status=400, retryable=False, telemetry_text=telemetry_text)
    return ModelError(
        message,
        error_type=str(status) if status else kind,
        status=502,
        retryable=status is None or status in _RETRYABLE,
        retry_after_s=_retry_after(error),
        telemetry_text=telemetry_text,
    )


def _message_of(error: Exception) -> str:
    """The first line of the message, without the names of classes that litellm puts before it."""
    text = str(getattr(error, "message", "") or error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    return _ADVICE.sub("", _PREFIXES.sub("", first) or first)[:_MAX_MESSAGE]


def _failure_of_the_client(error: Exception) -> BaseException | None:
    """The error of the provider's client itself that `error` is, or that LiteLLM takes for a failed connection."""
    root: BaseException = error
    if type(error).__name__ == "APIConnectionError":
        while (before := root.__cause__ or root.__context__) is not None:
            root = before
    return root if isinstance(root, _OF_THE_CLIENT) else None


def _retry_after(error: Exception) -> float | None:
    """Seconds, from the provider's Retry-After if it is a number."""
    found: Any = getattr(error, "litellm_response_headers", None) or getattr(error, "headers", None) or {}
    try:
        seconds = float(found.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def _int(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
