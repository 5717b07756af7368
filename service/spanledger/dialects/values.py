"""Reading the values that senders write: numbers, JSON, Python's repr(), addresses. No text makes any of it raise."""

import ast
import base64
import json
import math
import re
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import orjson

_MAX_REPR = 100_000  # characters of a Python repr() that are worth the time of the Python parser


def number(text: str) -> float | None:
    """As a float, NaN and infinities included; None for no number."""
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def scaled(text: str, factor: float) -> float | None:
    """A finite number times `factor`."""
    figure = number(text)
    return None if figure is None or not math.isfinite(figure) else figure * factor


def since_ns(text: str, start_ns: int) -> float | None:
    """From a start to an ISO 8601 time."""
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return at.timestamp() * 1e9 - start_ns
    except (ValueError, OverflowError):
        return None


def host(text: str) -> str:
    """The host of an address or URL, in lower case, without port."""
    if "/" in text:
        try:
            text = urlsplit(text if "//" in text else "//" + text).hostname or ""
        except ValueError:
            return ""
    return re.sub(r":\d+$", "", text.lower()) if text.count(":") == 1 else text.lower()


def unquoted(value: str) -> str:
    """The text within a JSON string; anything else as it is."""
    if not value.startswith('"'):
        return value
    try:
        text = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return text if isinstance(text, str) else value


def as_object(text: str) -> dict[str, Any] | None:
    """A JSON object, or the repr() of a Python dict; None for neither."""
    text = unquoted(text)
    if not text.startswith("{"):
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _as_repr(text) if text.startswith("{'") else _lenient(text)
    return value if isinstance(value, dict) else None


# What keeps the repr() of a Python dict from being JSON but for its quotes and three constants.
_NOT_PLAIN = re.compile(r"""["\\\x00-\x1f]|[0-9]{16}""")
_PYTHON = re.compile(r"'([^']*)'|\b(None|True|False)\b")
_CONSTANTS = {"None": "null", "True": "true", "False": "false"}


def _as_json(found: re.Match[str]) -> str:
    constant = found[2]
    return _CONSTANTS[constant] if constant else f'"{found[1]}"'


def _as_repr(text: str) -> Any:
    if len(text) > _MAX_REPR:
        return None
    if not _NOT_PLAIN.search(text):
        try:
            return orjson.loads(_PYTHON.sub(_as_json, text))
        except orjson.JSONDecodeError:
            pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    for python, plain in (("'", '"'), ("None", "null"), ("True", "true"), ("False", "false")):
        text = text.replace(python, plain)
    return _lenient(text)


def _lenient(text: str) -> Any:
    """JSON with NaN and Infinity, as Python writes it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def as_list(text: str) -> list[Any]:
    """A JSON array; empty for anything else."""
    if not text.startswith("["):
        return []
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return value if isinstance(value, list) else []


def parts(message: Any) -> list[Any]:
    """The parts of a message of gen_ai.output.messages."""
    found = message.get("parts") if isinstance(message, dict) else None
    return found if isinstance(found, list) else []


def member(value: Any, name: str) -> Any:
    """A member of an object; None where there is none."""
    return value.get(name) if isinstance(value, dict) else None


def scalar(found: Any) -> str:
    """A text, number or truth value as text; '' for anything else."""
    if isinstance(found, str):
        return found
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, int | float | Decimal) else ""


def quoted_member(text: str, names: tuple[str, ...]) -> str:
    """The quoted text behind one of the quoted names, wherever it stands in JSON or a Python repr()."""
    found = _quoted_pattern(names).search(text) if text else None
    return found[1] if found else ""


@lru_cache(maxsize=64)
def _quoted_pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"""['"](?:""" + "|".join(map(re.escape, names)) + r""")['"]: *['"]([^'"]+)['"]""")


def unwrapped_id(encoded: str) -> str:
    """The provider's id within one that LiteLLM made of it."""
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode("utf-8", "replace")
    except ValueError:
        return ""
    found = re.search("response_id:([^;]+)", text)
    return found[1] if found else ""
