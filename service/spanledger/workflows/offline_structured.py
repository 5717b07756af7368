"""Answers of the offline models when JSON is requested (`response_format`): values that fit the schema.

Deterministic like all they say: the same seed gives the same values. Only the parts of JSON Schema that callers of
structured output use are known; anything else is answered as if it were not there.
"""

import json
import random
from collections.abc import Mapping
from typing import Any

_DEPTH = 8
_MOST_ITEMS = 10
_LARGEST = 1e15
_WORDS = "the ledger keeps every entry and each span adds one more fact to it".split()


def wanted(parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema of the requested answer; None for plain text."""
    response_format = parameters.get("response_format")
    if not isinstance(response_format, Mapping):
        return None
    if response_format.get("type") == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    named = response_format.get("json_schema") if response_format.get("type") == "json_schema" else None
    schema = named.get("schema") if isinstance(named, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def answer(schema: Mapping[str, Any], seed: int) -> str:
    """A JSON text that fits."""
    return json.dumps(_value(schema, random.Random(seed), 0))


def _value(schema: Mapping[str, Any], source: random.Random, depth: int) -> Any:
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return source.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    kind = next((k for k in kind if k != "null"), "null") if isinstance(kind, list) else kind
    match kind:
        case "object":
            properties = schema.get("properties")
            if not isinstance(properties, Mapping):
                return {}
            known = {name: item for name, item in properties.items() if isinstance(item, Mapping) and depth < _DEPTH}
            return {name: _value(item, source, depth + 1) for name, item in known.items()}
        case "array":
            item = schema.get("items")
            few = int(min(max(_figure(schema, "minItems", 0), 2), _figure(schema, "maxItems", 2), _MOST_ITEMS))
            if not isinstance(item, Mapping) or depth >= _DEPTH:
                return []
            return [_value(item, source, depth + 1) for _ in range(few)]
        case "integer":
            low, high = _range(schema, 0, 10)
            return source.randint(int(low), max(int(high), int(low)))
        case "number":
            low, high = _range(schema, 0.0, 1.0)
            return round(source.uniform(low, high), 2)
        case "boolean":
            return source.random() < 0.5
        case "null":
            return None
        case _:
            text = " ".join(source.choices(_WORDS, k=6)).capitalize() + "."
            return text[: max(int(_figure(schema, "maxLength", len(text))), 0)]


def _range(schema: Mapping[str, Any], low: float, high: float) -> tuple[float, float]:
    least = _figure(schema, "minimum", low)
    return least, max(_figure(schema, "maximum", max(high, least)), least)


def _figure(schema: Mapping[str, Any], name: str, otherwise: float) -> float:
    """A number of the schema, if it is one that can be worked with."""
    value = schema.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST:
        return value
    return otherwise
