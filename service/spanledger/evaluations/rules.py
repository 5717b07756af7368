"""Evaluators that need no model: each looks at the answer alone and is right or wrong about one thing."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from spanledger.errors import BadRequest
from spanledger.evaluations.verdict import Exchange, Verdict, passed
from spanledger.workflows import tokens

PATTERN_TIMEOUT_S = 0.5  # a pattern that takes longer came to no verdict
_MAX_SAID = 300
Rule = Callable[[Mapping[str, Any], Exchange], Verdict]


class BadRule(BadRequest):
    title = "Unusable evaluator"
    status = 422
    error_type = "bad_rule"


def check(kind: str, settings: Mapping[str, Any]) -> None:
    """Raises BadRule for settings with which the rule can never work."""
    if kind == "regex":
        try:
            regex.compile(settings["pattern"])
        except regex.error as exc:
            raise BadRule(f"the pattern cannot be used: {exc}") from exc
    if kind == "json" and settings.get("schema") is not None:
        try:
            Draft202012Validator.check_schema(settings["schema"])
        except SchemaError as exc:
            raise BadRule(f"the schema cannot be used: {exc.message[:_MAX_SAID]}") from exc


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
    try:
        found = regex.search(settings["pattern"], exchange.answer, timeout=PATTERN_TIMEOUT_S, concurrent=True)
    except TimeoutError:
        return Verdict(None, error_type="pattern_timeout")
    return passed((found is not None) == settings["expect"], "matches" if found else "does not match")


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
        value = json.loads(exchange.answer)
    except (ValueError, RecursionError) as exc:
        return passed(False, f"not JSON: {str(exc)[:_MAX_SAID]}")
    if settings.get("schema") is None:
        return passed(True)
    error = next(iter(Draft202012Validator(settings["schema"]).iter_errors(value)), None)
    return passed(error is None, "" if error is None else error.message[:_MAX_SAID])


RULES: Mapping[str, Rule] = {"contains": _contains, "regex": _regex, "length": _length, "json": _json}
