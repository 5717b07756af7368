"""Lines of JSON with odd values: a value that cannot be meant costs itself, a line that cannot be read costs itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from spanledger.imports import jsonl, spans
from spanledger.imports.history import Exchange, Problem

AT = 1_714_557_600


def line(name: str, **more: Any) -> str:
    return json.dumps({"conversation_id": name, "role": "assistant", "created_at": AT, "content": "x", **more})


def read(folder: Path, *lines: str | bytes) -> tuple[list[Exchange], list[Problem]]:
    file = folder / "history.jsonl"
    file.write_bytes(b"\n".join(one if isinstance(one, bytes) else one.encode() for one in lines))
    found = list(jsonl.read(file))
    exchanges = [one for one in found if isinstance(one, Exchange)]
    spans.request(exchanges, True, 0)  # what is read can be sent, too
    return exchanges, [one for one in found if isinstance(one, Problem)]


@pytest.mark.parametrize("cost", [True, False, "abc", "$1", -1, 1e300, float("nan"), [], {}, None, 10**400, "1" * 400])
def test_an_amount_that_is_none_is_unknown(tmp_path: Path, cost: Any) -> None:
    (one,), problems = read(tmp_path, line("c", cost_usd=cost))
    assert ([answer.cost_usd for answer in one.answers], problems) == ([None], [])


@pytest.mark.parametrize("cost", [0, 0.25, "0.25", 1e-12, "1e-12", "0E+9000", "1E-6176"])
def test_zeros_and_tiny_amounts_are_amounts(tmp_path: Path, cost: Any) -> None:
    (one,), problems = read(tmp_path, line("c", cost_usd=cost))
    (answer,) = one.answers
    assert problems == []
    assert float(answer.cost_usd or "nan") == float(cost)


COUNT = {"usage": {"input_tokens": 3, "output_tokens": 5}}


@pytest.mark.parametrize(
    ("odd", "known"),
    [
        (line("odd", usage={"input_tokens": 7}).replace(": 7}", f": {'9' * 5000}}}"), [None]),
        (line("odd", x=7).replace(": 7}", f": {'[' * 5000}{']' * 5000}}}"), [None]),
        (line("odd", duration_ms=7).replace(": 7}", ": NaN}"), [None]),
        (line("odd", usage={"input_tokens": True, "output_tokens": 1.5}), [True]),
        (line("odd").replace('"x"', '"a\tb"'), [None]),
        (line("odd").encode().replace(b'"x"', b'"caf\xe9"'), [None]),
    ],
    ids=range(6),
)
def test_an_odd_value_costs_neither_its_line_nor_others(tmp_path: Path, odd: Any, known: list[Any]) -> None:
    exchanges, problems = read(tmp_path, line("first", **COUNT), odd, line("last", **COUNT))
    assert problems == []
    counts = [[json.loads(answer.usage or "{}").get("input_tokens") for answer in one.answers] for one in exchanges]
    assert [one.conversation_id for one in exchanges] == ["first", "odd", "last"]
    assert counts == [[3], known, [3]]


@pytest.mark.parametrize(
    "odd", ["{", "null", "5", "[1]", '{"a":undefined}', "[" * 100_000, line("odd", created_at=None)]
)
def test_a_line_that_cannot_be_read_costs_itself(tmp_path: Path, odd: str) -> None:
    exchanges, problems = read(tmp_path, line("first"), odd, line("last"))
    assert [one.conversation_id for one in exchanges] == ["first", "last"]
    assert [one.where for one in problems] == ["line 2"]
    assert len(problems[0].why) < 200


def test_texts_beside_counts_are_left_out(tmp_path: Path) -> None:
    usage = {"input_tokens": 3, "note": "what somebody wrote", "by": [{"modality": "TEXT", "tokenCount": 3}], "x": None}
    (one,), _ = read(tmp_path, line("c", usage=usage), line("c", prompt_tokens=4, tokenizer="o200k base"))
    assert [json.loads(answer.usage) for answer in one.answers] == [
        {"input_tokens": 3, "by": [{"modality": "TEXT", "tokenCount": 3}]},
        {"prompt_tokens": 4},
    ]


@pytest.mark.parametrize("when", [AT, str(AT), f"{AT}000", AT * 1000, f"{AT}.0", "2024-05-01T10:00:00Z"])
def test_a_time_may_be_a_number_in_quotes(tmp_path: Path, when: Any) -> None:
    (one,), problems = read(tmp_path, line("c", created_at=when))
    assert (one.at_ns, problems) == (AT * 10**9, [])


@pytest.mark.parametrize("names", [("conversationId", "createdAt"), ("sessionId", "created"), ("threadId", "date")])
def test_names_as_other_languages_write_them(tmp_path: Path, names: tuple[str, str]) -> None:
    (one,), problems = read(tmp_path, json.dumps({names[0]: "c", names[1]: AT, "role": "user", "content": "x"}))
    assert (one.conversation_id, problems) == ("c", [])
