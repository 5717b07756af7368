"""Grafana's own schema of a dashboard: the typed models of its foundation SDK, applied without mercy.

The SDK reads JSON without looking at types and skips what it does not know; here both are errors.
"""

import json
import types
import typing
import warnings
from enum import Enum
from typing import Any

from grafana_foundation_sdk.cog import runtime
from grafana_foundation_sdk.cog.encoder import JSONEncoder

with warnings.catch_warnings():
    # The SDK would rather have the next model; files in the classic one are what every Grafana from 10 on provisions.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    from grafana_foundation_sdk.models.alerting import Rule
    from grafana_foundation_sdk.models.dashboard import Dashboard

__all__ = ["Dashboard", "Rule", "problems"]


def problems(model: type[Any], content: dict[str, Any]) -> list[str]:
    """What in `content` is not as the model says: unknown keys, wrong types, values outside of an enumeration."""
    known = model.from_json(content)
    back = json.loads(json.dumps(known, cls=JSONEncoder))
    return [*_lost(content, back, model.__name__), *_mistyped(known, model.__name__)]


def _lost(given: Any, kept: Any, at: str) -> list[str]:
    if isinstance(given, dict) and isinstance(kept, dict):
        found = [f"{at}.{key}: Grafana does not know it" for key in given if key not in kept]
        return found + [p for key in given if key in kept for p in _lost(given[key], kept[key], f"{at}.{key}")]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [p for number, pair in enumerate(zip(given, kept, strict=True)) for p in _lost(*pair, f"{at}[{number}]")]
    return [] if given == kept else [f"{at}: {given!r} became {kept!r}"]


def _mistyped(value: Any, at: str) -> list[str]:
    """Walks models; what a plugin defines for itself (queries) has no type there."""
    if isinstance(value, runtime.UnknownDataquery) or not hasattr(type(value), "from_json"):
        return []
    found: list[str] = []
    hints = typing.get_type_hints(type(value), vars(__import__(type(value).__module__, fromlist=["_"])))
    for name, hint in hints.items():
        held = getattr(value, name, None)
        if not _fits(held, hint):
            found.append(f"{at}.{name}: {held!r} is not {hint}")
        for number, part in enumerate(_parts(held)):
            found += _mistyped(part, f"{at}.{name}[{number}]")
    return found


def _parts(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else [value]


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (Any, object):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return value in [member.value for member in hint]
    return isinstance(value, hint) if isinstance(hint, type) else True
