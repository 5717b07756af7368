"""The facts within values that hold more than one: JSON objects of objects.yaml, compiled to be found in one walk."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from spanledger.dialects.tables import Tables
from spanledger.dialects.values import scalar

Facts = dict[str, str]  # fact → its text, those that are there
_Hit = tuple[int, str]  # rank (0 = best) and fact
_Unit = Decimal | None  # a factor to the unit of the fact; None: 1
_FIRST = "[]"  # the step to the first element of a list
_SPLIT = ("input_", "output_", "cached_modality_")  # of parts in Langfuse's words
_WHOLES = ("input", "output", "total")
_NAMED = re.compile(r"cache|audio|image|reasoning|ephemeral|_tokens?$|_details$|_count$")
_MODALITIES = {"1": "text", "2": "image", "3": "video", "4": "audio", "5": "document"}  # of Google's enum
_COUNTED = ("tokenCount", "token_count", "inputTokens", "input_tokens")
_MOST_DIGITS = 15  # before or after the decimal point; longer amounts are not converted
_EMBEDDED = 1_000  # ranks of one place where an object may stand within another


class _Node:
    """What is known under one member of an object."""

    __slots__ = ("hits", "members")

    def __init__(self) -> None:
        self.hits: list[tuple[int, str, _Unit]] = []
        self.members: dict[str, _Node] = {}


_NOTHING = _Node()


class ObjectFacts:
    """One object of objects.yaml: every fact that a value of it may hold, `inner.fact` for those of objects within."""

    def __init__(self, known: Tables, name: str) -> None:
        self._members: dict[str, _Node] = {}
        spec = known.objects[name]
        self._of_response = frozenset(spec.get("of_response", ()))
        self._response_holds = tuple(spec.get("response_holds", ()))
        self._response_says = tuple(spec.get("response_says", ()))
        self._response_is = {name: frozenset(words) for name, words in spec.get("response_is", {}).items()}
        for fact, paths in spec["facts"].items():
            for rank, path in enumerate(paths):
                self._add(path, rank, fact)
        for inner, roots in spec.get("embed", {}).items():
            for number, root in enumerate(roots):
                for fact, paths in known.objects[inner]["facts"].items():
                    for rank, path in enumerate(paths):
                        self._add(f"{root}.{path}", number * _EMBEDDED + rank, f"{inner}.{fact}")

    def _add(self, path: str, rank: int, fact: str) -> None:
        path, _, unit = path.partition("*")
        members, node = self._members, _Node()
        for step in path.replace("[]", "." + _FIRST).split("."):
            node = members.setdefault(step, _Node())
            members = node.members
        node.hits.append((rank, fact, Decimal(unit) if unit else None))

    def read(self, value: Mapping[str, Any]) -> Facts:
        """The best member for each fact, in which anything stands."""
        found: dict[str, _Hit] = {}
        _walk(self._members, _put_together(value), found)
        left_out = frozenset() if self._of_response.isdisjoint(found) or self._is_response(value) else self._of_response
        return _with_upstream({fact: text for fact, (_, text) in found.items() if fact not in left_out})

    def _is_response(self, value: Mapping[str, Any]) -> bool:
        return (
            any(isinstance(value.get(name), dict | list) for name in self._response_holds)
            or any(isinstance(value.get(name), str) for name in self._response_says)
            or any(scalar(value.get(name)) in words for name, words in self._response_is.items())
        )


def _walk(known: dict[str, _Node], value: Mapping[str, Any], found: dict[str, _Hit]) -> None:
    for key, inner in value.items():
        node = known.get(key)
        if node is None:
            continue
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            inner = _by_kind(inner) if _FIRST in node.members or "type" not in inner[0] else _by_type(inner)
        while isinstance(inner, list):
            node = node.members.get(_FIRST, _NOTHING)
            inner = inner[0] if inner and node is not _NOTHING else None
        if isinstance(inner, dict):
            _walk(node.members, inner, found)
        elif node.hits and (text := scalar(inner)):
            for rank, fact, unit in node.hits:
                _keep(found, fact, rank, text if unit is None else _in_units(text, unit))


def _in_units(text: str, unit: Decimal) -> str:
    """An amount times its unit. An amount that cannot be converted stays a text that is no number."""
    amount = _amount(text)
    return f"{text}*{unit}" if amount is None else f"{amount * unit:f}"


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount.adjusted()) <= _MOST_DIGITS else None


def _with_upstream(facts: Facts) -> Facts:
    """Adds OpenRouter's upstream cost to its fee (`cost`) where the customer's own key paid for the call."""
    for name in [name for name in facts if name.endswith("upstream_cost")]:
        start = name.removesuffix("upstream_cost")
        upstream, own_key = facts.pop(name), facts.pop(start + "own_key", "")
        amounts = (_amount(upstream), _amount(facts.get(start + "cost", "")))
        if own_key == "true" and amounts[0] is not None and amounts[1] is not None:
            facts[start + "cost"] = f"{amounts[0] + amounts[1]:f}"
    return facts


def _by_kind(counts: list[Any]) -> Any:
    """Google's counts by kind of content, Bedrock's by how long a cache lasts: [{modality: IMAGE, tokenCount: 1290}] →
    {image: 1290}; other lists as they are."""
    kind = next((word for word in ("modality", "ttl") if word in counts[0]), None)
    if kind is None:
        return counts
    return {
        str(one.get(kind)).rsplit(".", 1)[-1].lower(): next((one[word] for word in _COUNTED if word in one), None)
        for one in counts
        if isinstance(one, dict)
    }


def _by_type(steps: list[Any]) -> dict[str, dict[str, int]]:
    """Adds up the counts of Anthropic's `iterations` by type: [{type: message, input_tokens: 23}] →
    {message: {input_tokens: 23}}."""
    sums: dict[str, dict[str, int]] = {}
    for step in steps:
        if isinstance(step, dict):
            counts = sums.setdefault(str(step.get("type")), {})
            for name, count in step.items():
                if isinstance(count, int) and not isinstance(count, bool):
                    counts[name] = counts.get(name, 0) + count
    return sums


def _put_together(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """What Langfuse took apart: counts by Google's kinds of content, and parts that no table names, which it takes off
    the whole. The latter only where the stated total says so."""
    if not any(key.startswith(_SPLIT) for key in usage):
        return usage
    counts = {key: count for key, count in usage.items() if isinstance(count, int) and not isinstance(count, bool)}
    if any("_modality_" in key for key in counts):
        return _google_usage(usage, counts)
    rest = {side: sum(n for key, n in counts.items() if _is_unnamed(key, side)) for side in ("input", "output")}
    wholes = {side: counts.get(side, 0) + rest[side] for side in rest}
    parts = sum(n for key, n in counts.items() if key.startswith(_SPLIT))
    whole = counts.get("input", 0) + counts.get("output", 0) + parts
    return {**usage, **wholes} if any(rest.values()) and counts.get("total") == whole else usage


def _is_unnamed(key: str, side: str) -> bool:
    return key.startswith(side + "_") and _NAMED.search(key) is None


def _google_usage(usage: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    """Google's own usage, of which Langfuse made `input_modality_…`, `output_modality_…` and `cached_modality_…`."""
    by_side: dict[str, dict[str, int]] = {"input": {}, "output": {}, "cached": {}}
    for key, count in counts.items():
        side, split, kind = key.partition("_modality_")
        if split and side in by_side:
            by_side[side][_MODALITIES.get(kind, kind.lower())] = count
    cached = sum(by_side["cached"].values())
    kept = {key: value for key, value in usage.items() if "_modality_" not in key and key not in _WHOLES}
    return kept | {
        "prompt_token_count": counts.get("input", 0) + sum(by_side["input"].values()) + cached,
        "candidates_token_count": counts.get("output", 0) + sum(by_side["output"].values()),
        "cached_content_token_count": counts.get("cached_content_token_count") or cached,
        "prompt_tokens_details": by_side["input"],
        "candidates_tokens_details": by_side["output"],
        **({"total_token_count": counts["total"]} if "total" in counts else {}),
    }


def _keep(found: dict[str, _Hit], fact: str, rank: int, text: str) -> None:
    best = found.get(fact)
    if best is None or rank < best[0]:
        found[fact] = (rank, text)
