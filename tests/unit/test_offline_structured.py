"""Offline models answer with JSON that fits the schema they were given, and survive any schema."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from spanledger.workflows import offline_answers
from spanledger.workflows.offline_structured import answer, wanted

VERDICT = {
    "type": "object",
    "properties": {
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "label": {"enum": ["good", "bad"]},
        "notes": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 1, "maxItems": 3},
        "again": {"type": ["boolean", "null"]},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
    },
    "required": ["score", "label", "notes", "again", "stars"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("seed", range(20))
def test_an_answer_fits_its_schema_and_is_the_same_again(seed: int) -> None:
    text = answer(VERDICT, seed)
    Draft202012Validator(VERDICT).validate(json.loads(text))
    assert answer(VERDICT, seed) == text


def test_a_model_asked_for_json_gives_it_and_bills_for_it() -> None:
    asked = {"response_format": {"type": "json_schema", "json_schema": {"name": "verdict", "schema": VERDICT}}}
    said = offline_answers.answer("small", [{"role": "user", "content": "judge"}], asked)
    assert 0 <= json.loads(said.content)["score"] <= 1
    assert said.completion_tokens > 10
    words = offline_answers.answer(
        "small", [{"role": "user", "content": "judge"}], {"response_format": {"type": "text"}}
    )
    assert not words.content.startswith("{")
    assert wanted({"response_format": {"type": "json_object"}}) is not None
    assert wanted({"response_format": {"type": "json_schema", "json_schema": "verdict"}}) is None


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": []},
        {"type": {"a": 1}},
        {"type": "array", "items": {"type": "string"}, "minItems": 10**12, "maxItems": "many"},
        {"type": "integer", "minimum": float("inf")},
        {"type": "number", "minimum": 9, "maximum": -9},
        {"type": "string", "maxLength": -1},
        {"type": "object", "properties": [1, 2]},
        {"type": "object", "properties": {"a": 7}},
        {"enum": []},
    ],
)
def test_a_schema_that_makes_no_sense_is_answered_somehow(schema: dict[str, Any]) -> None:
    json.loads(answer(schema, 1))


def test_a_schema_without_an_end_has_an_answer_with_one() -> None:
    endless: dict[str, Any] = {"type": "object", "properties": {}}
    endless["properties"]["inside"] = endless
    assert len(answer(endless, 1)) < 1000
