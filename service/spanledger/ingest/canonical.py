"""The slow path for bodies that `probe` does not accept: parses them, drops what the specification says to reject, and
writes nested values as the text that the Collector's clickhouse exporter stores. The loading query only handles flat
values.
"""

import base64
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from spanledger.ingest import apart, lenient
from spanledger.ingest.probe import count_items
from spanledger.ingest.signals import Signal

_ANY_VALUE = "opentelemetry.proto.common.v1.AnyValue"


@dataclass(frozen=True)
class Canonical:
    """A body that ClickHouse can read; `rejected` items are no longer in it."""

    body: bytes
    items: int
    rejected: int
    reason: str  # why items were rejected; "" when none were


def canonical(signal: Signal, body: bytes) -> Canonical | None:
    """The body without what cannot be stored; None when it is malformed."""
    message = _parse(signal, body)
    return None if message is None else _cleaned(signal, message)


def canonical_part(signal: Signal, body: bytes) -> Canonical | None:
    """The same of what can be read of a malformed body; None when none of its items can."""
    part = apart.readable(signal, body)
    message = None if part is None else _parse(signal, part.body)
    if part is None or message is None:
        return None
    clean = _cleaned(signal, message)
    if not clean.items:
        return None
    reasons = [f"{name}: cannot be read, or nested too deeply" for name in part.left_out[:1]]
    reason = "; ".join(reasons + [clean.reason] * bool(clean.reason))
    return replace(clean, rejected=clean.rejected + part.rejected, reason=reason)


def _cleaned(signal: Signal, message: Message) -> Canonical:
    rejected = _drop_unidentified(message) if signal.name == "traces" else 0
    _flatten(message)
    message.DiscardUnknownFields()
    clean = message.SerializeToString()
    reason = "spans without a valid trace id (16 bytes) and span id (8 bytes), not all zero" if rejected else ""
    return Canonical(clean, count_items(signal.name, clean), rejected, reason)


def _parse(signal: Signal, body: bytes) -> Message | None:
    try:
        return signal.request.FromString(body)
    except DecodeError:
        pass
    try:
        return signal.request.FromString(lenient.repair_text(signal.name, body))
    except (DecodeError, RecursionError):
        return None


def _drop_unidentified(request: Any) -> int:
    """Removes spans whose ids are invalid by the spec; returns how many."""
    dropped = 0
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            spans = scope_spans.spans
            good = [span for span in spans if _valid(span.trace_id, 16) and _valid(span.span_id, 8)]
            if len(good) < len(spans):
                dropped += len(spans) - len(good)
                copies = [type(span).FromString(span.SerializeToString()) for span in good]
                del spans[:]
                spans.extend(copies)
    return dropped


def _valid(identifier: bytes, length: int) -> bool:
    return len(identifier) == length and any(identifier)


def _flatten(message: Message) -> None:
    """Replaces every map and every array below by its text."""
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        for child in value if field.is_repeated else (value,):
            if child.DESCRIPTOR.full_name != _ANY_VALUE:
                _flatten(child)
            elif _is_nested(child):
                child.string_value = as_string(child)


def _is_nested(value: Any) -> bool:
    return value.WhichOneof("value") in {"array_value", "kvlist_value"}


def as_string(value: Any) -> str:
    """An AnyValue as the Collector's `Value.AsString()` writes it."""
    kind = value.WhichOneof("value")
    return _AS_STRING[kind](value) if kind in _AS_STRING else ""


def _json_text(value: Any) -> str:
    try:
        return _go_json(value)
    except _Unrepresentable:
        return ""  # Go's json.Marshal gives up on the whole value, and AsString ignores its error


_AS_STRING: dict[str | None, Callable[[Any], str]] = {
    "string_value": lambda v: str(v.string_value),
    "bool_value": lambda v: "true" if v.bool_value else "false",
    "int_value": lambda v: str(v.int_value),
    "double_value": lambda v: _go_float(v.double_value),
    "bytes_value": lambda v: base64.b64encode(v.bytes_value).decode(),
    "array_value": _json_text,
    "kvlist_value": _json_text,
}


class _Unrepresentable(ValueError):
    """NaN or an infinity inside a nested value: not expressible in JSON."""


def _go_json(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return "[" + ",".join(map(_go_json, value.array_value.values)) + "]"
    if kind == "kvlist_value":
        # Go fills a map: the last of several equal keys wins, and keys come out sorted by their bytes.
        items = {entry.key: entry.value for entry in value.kvlist_value.values}
        pairs = sorted(items.items(), key=lambda item: item[0].encode())
        return "{" + ",".join(f"{_go_quote(key)}:{_go_json(entry)}" for key, entry in pairs) + "}"
    if kind == "string_value":
        return _go_quote(value.string_value)
    if kind == "bytes_value":
        return f'"{as_string(value)}"' if value.bytes_value else "null"  # Go's nil slice
    if kind == "double_value" and not math.isfinite(value.double_value):
        raise _Unrepresentable
    return as_string(value) if kind in _AS_STRING else "null"


_GO_ESCAPES = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029", "\x7f": "\x7f"})


def _go_quote(text: str) -> str:
    """A JSON string as Go's encoding/json writes it without HTML escapes (non-ASCII as it is)."""
    return json.dumps(text, ensure_ascii=False).translate(_GO_ESCAPES)


def _go_float(number: float) -> str:
    """The shortest digits that read back, in Go's JSON layout: 0.25, 1e-7, 1e+21."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    mantissa, _, exponent = repr(number).partition("e")
    size = abs(number)
    if size != 0 and (size < 1e-6 or size >= 1e21):
        return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"
    if not exponent:
        return mantissa.removesuffix(".0")
    return _without_exponent(mantissa, int(exponent))


def _without_exponent(mantissa: str, exponent: int) -> str:
    """`1.5e-06` or `1.5e+16` with zeros in place of the exponent."""
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.lstrip("-").removesuffix(".0")
    whole, _, fraction = digits.partition(".")
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{whole}{fraction}"
    return f"{sign}{whole}{fraction:0<{exponent}}"
