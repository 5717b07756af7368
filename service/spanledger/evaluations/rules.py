"""Evaluators that need no model: each looks at the answer alone and is right or wrong about one thing."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from spanledger.errors import BadRequest
from spanledger.evaluations.verdict import Exchange, Verdict, passed
from spanledger.foreign import process
from spanledger.workflows import tokens

_MAX_SAID = 300
Rule = Callable[[Mapping[str, Any], Exchange], Verdict]


class BadRule(BadRequest):
    title = "Unusable evaluator"
    status = 422
    error_type = "bad_rule"


def check(kind: str, settings: Mapping[str, Any]) -> None:
    """Raises BadRule for settings with which the rule can never work."""
    if kind == "regex":
        _check({"kind": "pattern", "pattern": settings["pattern"]}, "pattern")
    if kind == "json" and settings.get("schema") is not None:
        _check({"kind": "schema", "schema": settings["schema"]}, "schema")


def _check(job: Mapping[str, Any], name: str) -> None:
    try:
        reply = process.pool.run(job)
    except process.Hopeless as exc:
        raise BadRule(f"the {name} cannot be used: {exc}") from exc
    except (RecursionError, ValueError) as exc:
        raise BadRule(f"the {name} cannot be used: it is nested too deeply") from exc
    if "ok" not in reply:
        raise BadRule(f"the {name} cannot be used: {reply.get('refused', 'it takes too long')}")


def _contains(settings: Mapping[str, Any], exchange: Exchange) -> Verdict:
    fold = (lambda text: text) if settings["case_sensitive"] else str.casefold
    answer = fold(exchange.answer)
    found = [text for text in settings["texts"] if fold(text) in answer]
    match settings["want"]:
        case "all":
            return passed(len(found) == len(settings["texts"]), f"{len(found)} of {len(settings['texts'])} found")
        case "none":
            return passed(not found, f"{len(found)} found")
        case _:
            return passed(bool(found), f"{len(found)} found")


def _regex(settings: Mapping[str, Any], exchange: Exchange) -> Verdict:
    job = {"kind": "search", "pattern": settings["pattern"], "text": exchange.answer, "timeout_s": process.PATTERN_S}
    try:
        reply = process.pool.run(job)
    except process.Hopeless:
        return Verdict(None, error_type="pattern_timeout")
    if "ok" not in reply:
        return Verdict(None, error_type="pattern_timeout" if "timeout" in reply else "bad_pattern")
    return passed(reply["ok"] == settings["expect"], "matches" if reply["ok"] else "does not match")


def _length(settings: Mapping[str, Any], exchange: Exchange) -> Verdict:
    measures: dict[str, Callable[[str], int]] = {
        "characters": len,
        "words": lambda text: len(text.split()),
        "tokens": tokens.count,
    }
    length = measures[settings["unit"]](exchange.answer)
    low, high = settings.get("min"), settings.get("max")
    fits = (low is None or length >= low) and (high is None or length <= high)
    return passed(fits, f"{length} {settings['unit']}")


def _json(settings: Mapping[str, Any], exchange: Exchange) -> Verdict:
    try:
        json.loads(exchange.answer)
    except (ValueError, RecursionError) as exc:
        return passed(False, f"not JSON: {str(exc)[:_MAX_SAID]}")
    if settings.get("schema") is None:
        return passed(True)
    job = {"kind": "validate", "schema": settings["schema"], "text": exchange.answer, "patterns": True}
    try:
        reply = process.pool.run(job)
    except process.Hopeless:
        return Verdict(None, error_type="schema_timeout")
    if "error" not in reply:
        return Verdict(None, error_type="bad_schema")
    return passed(reply["error"] is None, reply["error"] or "")


RULES: Mapping[str, Rule] = {"contains": _contains, "regex": _regex, "length": _length, "json": _json}
