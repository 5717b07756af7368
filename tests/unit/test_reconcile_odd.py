"""Exports with odd lines: what cannot be read is listed, and costs no other line."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from spanledger.errors import BadRequest
from spanledger.foreign.texts import printable
from spanledger.reconcile.exports import read_export
from spanledger.reconcile.reconcile import compare, render

DAY = date(2026, 11, 5)
START = int(datetime(2026, 11, 5, tzinfo=UTC).timestamp())


def result(model: str = "m", tokens: str = "10", more: str = "") -> str:
    return f'{{"num_model_requests":1,"model":"{model}","input_tokens":{tokens}{more}}}'


def bucket(*results: str) -> str:
    return f'{{"start_time":{START},"end_time":{START + 86_400},"results":[{",".join(results)}]}}'


def page(*results: str) -> str:
    return f'{{"object":"page","has_more":false,"data":[{bucket(*results)}]}}'


def csv(*lines: str) -> str:
    return "\n".join(["start_time,model,num_model_requests,input_tokens", *lines, f"{START},m,1,10"])


GOOD = result()
LINE = f"{START},m,1,10"
DEEP = "[" * 5000 + "]" * 5000
# What is odd, how often the good result is counted, how many lines are listed
ODD: dict[str, tuple[str | bytes, int, int]] = {
    "not a number": (page(GOOD, result(tokens="NaN"), GOOD), 2, 1),
    "no end": (page(result(tokens="-Infinity"), GOOD), 1, 1),
    "digits without end": (page(GOOD, result(tokens="9" * 5000)), 1, 1),
    "an exponent without end": (page(GOOD, result(tokens="1e99999999")), 1, 1),
    "nested without end": (page(GOOD, result(more=f',"x":{DEEP}'), GOOD), 3, 0),
    "a result that is nested": (page(DEEP, GOOD), 1, 1),
    "control characters": (page(GOOD, result(more=',"x":"a\tb"')), 2, 0),
    "a line of pages": (f"{page(GOOD)}\n{{broken\n\n{page(GOOD)}", 2, 1),
    "a line of buckets": (f"{bucket(GOOD)}\nnull\n{bucket(GOOD)}\n5\n{bucket(GOOD)}\nno", 3, 3),
    "the last line is cut": (f"{page(GOOD)}\n{page(GOOD)[:-20]}", 1, 1),
    "a cell without end": (csv(LINE, f"{START},{'x' * 200_000},1,10"), 2, 1),
    "a quoted cell without end": (csv(f'{START},"{"x" * 200_000}",1,10', LINE), 2, 1),
    "cells that are nothing": (csv("\x00", "never", f"{START},m,{'9' * 5000},1", f"{START},m,1,ten"), 1, 4),
    "another encoding": (csv(f"{START},caf\xe9,0,0").encode("latin-1"), 1, 0),
    "numbers as spreadsheets write them": (csv(f"{START},m,1.0,1E1", f"{START},m,1,1.00E+01"), 3, 0),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_line_costs_no_other(tmp_path: Path, name: str) -> None:
    content, counted, listed = ODD[name]
    file = tmp_path / "usage.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    export = read_export(file)
    assert [(row.model, row.calls, row.input_tokens) for row in export.rows] == [("m", counted, 10 * counted)]
    assert len(export.unreadable) == listed
    report = render(compare(export, []))
    assert report.count("left out: usage.txt") == listed
    assert max(map(len, report.splitlines())) < 200
    for inner in ("Decimal(", "set_int_max_str_digits"):
        assert inner not in report


@pytest.mark.parametrize("make", [lambda: page(GOOD)[:-1], lambda: json.dumps(json.loads(page(GOOD)), indent=1)[:-20]])
def test_one_document_that_is_cut_is_no_json(tmp_path: Path, make: Callable[[], str]) -> None:
    file = tmp_path / "usage.json"
    file.write_text(make())
    with pytest.raises(BadRequest, match="is not JSON"):
        read_export(file)


def test_half_a_surrogate_pair_in_a_name_can_be_shown(tmp_path: Path) -> None:
    file = tmp_path / "usage.json"
    file.write_text(page(result("half \\ud83d"), GOOD))
    report = render(compare(read_export(file), []))
    assert report.encode()
    assert "half \ufffd" in report
    assert printable("a\ud800b\udfff\U0001f600") == "a\\ud800b\\udfff\U0001f600"
