"""Exports with odd lines: what cannot be read is listed, and costs no other line."""

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from spanledger.errors import BadRequest, TooLarge
from spanledger.foreign.texts import printable
from spanledger.reconcile import files
from spanledger.reconcile.exports import read_export
from spanledger.reconcile.reconcile import compare, render
from spanledger.reconcile.usage_rows import Export

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


COSTS = "start_time,end_time,amount_value,amount_currency,line_item"
ITEM = '"gpt-4o-2024-08-06, input"'


def cost_csv(*amounts: str) -> str:
    return "\n".join([COSTS, *(f"{START},{START + 86_400},{amount},usd,{ITEM}" for amount in amounts)]) + "\n"


def read(tmp_path: Path, content: str | bytes, name: str = "export.csv") -> Export:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_export(file)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ('"1,234.56"', "1234.56"),
        ('"1,234,567"', "1234567"),
        ('"1.234,56"', "1234.56"),
        ('"0,06"', "0.06"),
        ('"1234,567"', "1234.567"),
        ("1\u202f234.5", "1234.5"),
        ("$12.50", "12.50"),
        ("-$12.50", "-12.50"),
        ("(12.50)", "-12.50"),
        ("12.50 USD", "12.50"),
        ("1.23E-05", "0.0000123"),
    ],
)
def test_an_amount_as_spreadsheets_write_it(tmp_path: Path, written: str, amount: str) -> None:
    export = read(tmp_path, cost_csv(written))
    assert [(row.model, row.cost_usd) for row in export.rows] == [("gpt-4o-2024-08-06", Decimal(amount))]


def test_an_amount_that_can_be_read_in_two_ways_is_listed(tmp_path: Path) -> None:
    export = read(tmp_path, cost_csv('"1,234"', "1"))
    assert [row.cost_usd for row in export.rows] == [1]
    assert export.unreadable == ["export.csv, line 2: '1,234' is not an amount"]


@pytest.mark.parametrize("written", ['"1,234,100"', "1\u00a0234\u00a0100", "1.234.100", "1'234'100", "1.2341E+6"])
def test_a_count_with_thousands_set_apart(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, csv(f"{START},m,1,{written}")).rows[0].input_tokens == 1_234_110


@pytest.mark.parametrize(
    "day",
    [
        "20261105",
        "2026/11/05",
        "2026-11-05 13:00:00 UTC",
        "2026-11-05 13:00:00 +0000 UTC",
        "2026-11-04T17:00:00-07:00",
        '"Nov 5, 2026"',
        "5 November 2026",
        f"{START}",
        f"{START}.0",
        f"{START}000",
    ],
)
def test_a_day_as_it_may_be_written(tmp_path: Path, day: str) -> None:
    export = read(tmp_path, f"date,model,num_model_requests,input_tokens\n{day},m,1,10\n")
    assert export.days == {DAY}


@pytest.mark.parametrize(
    "content",
    [
        "sep=,\r\n" + cost_csv("2.5"),
        "sep=;\n" + cost_csv("2,5").replace(ITEM, "gpt-4o-2024-08-06 text§ input").replace(",", ";")
        .replace("2;5", "2,5").replace("§", ","),
        cost_csv("2.5").replace(",", ", ").replace(",  input", ", input"),
        cost_csv("1") + cost_csv("1.5"),
        cost_csv("2.5", "", "null"),
    ],
)  # fmt: skip
def test_csv_as_spreadsheets_and_people_leave_it(tmp_path: Path, content: str) -> None:
    export = read(tmp_path, content)
    assert [(row.model, row.cost_usd) for row in export.rows] == [("gpt-4o-2024-08-06", Decimal("2.5"))]
    assert not export.unreadable
    assert not export.other


def test_pages_one_after_the_other_over_several_lines(tmp_path: Path) -> None:
    pretty = json.dumps(json.loads(page(GOOD)), indent=2)
    assert read(tmp_path, f"{pretty}\n{pretty}\n").rows[0].calls == 2


def test_a_bucket_without_results_may_have_null(tmp_path: Path) -> None:
    export = read(tmp_path, page(GOOD).replace('"data":[', f'"data":[{bucket().replace("[]", "null")},'))
    assert (export.rows[0].calls, export.unreadable) == (1, [])


def test_requests_that_searched_the_web_are_not_counted_twice(tmp_path: Path) -> None:
    search = '{"object":"organization.usage.web_searches.result","num_model_requests":5,"num_requests":9,"model":"m"}'
    export = read(tmp_path, page(GOOD, search))
    assert export.rows[0].calls == 1
    assert export.notes == ["not compared: organization.usage.web_searches.result"]


def test_a_packed_export(tmp_path: Path) -> None:
    assert read(tmp_path, gzip.compress(page(GOOD).encode()), "usage.json.gz").rows[0].calls == 1
    with zipfile.ZipFile(tmp_path / "usage.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export/usage.csv", csv(LINE))
    assert read_export(tmp_path / "usage.zip").rows[0].calls == 2
    for broken in (gzip.compress(page(GOOD).encode())[:-12], b"PK\x03\x04 not a zip", b"\x1f\x8b not gzip"):
        with pytest.raises(BadRequest, match="unpack"):
            read(tmp_path, broken)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", csv(LINE))
        archive.writestr("b.csv", csv(LINE))
    with pytest.raises(BadRequest, match="holds 2 files"):
        read_export(tmp_path / "two.zip")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 100_000)
    with pytest.raises(TooLarge, match="larger than"):
        read(tmp_path, gzip.compress(b" " * 100_001), "usage.json.gz")
