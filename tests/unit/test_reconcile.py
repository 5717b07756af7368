"""Comparing the books with what providers export: every published shape, and everything that can be wrong with it."""

import contextlib
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.errors import BadRequest
from spanledger.reconcile.reconcile import Export, OtherCost, Report, UsageRow, compare, read_export, render, to_json

DAY = date(2026, 11, 5)
START = 1793836800  # 2026-11-05T00:00:00Z


def export_of(tmp_path: Path, content: str | dict[str, Any] | list[Any], name: str = "export") -> Export:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_export(path)


def openai_page(*results: dict[str, Any], start: int = START, **page: Any) -> dict[str, Any]:
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 86400, "results": list(results)}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None, **page}


def completions(model: str | None, **figures: int) -> dict[str, Any]:
    known = {"input_tokens": 0, "output_tokens": 0, "num_model_requests": 0, **figures}
    return {"object": "organization.usage.completions.result", "model": model, "project_id": None, **known}


def anthropic_page(*results: dict[str, Any]) -> dict[str, Any]:
    bucket = {"starting_at": "2026-11-05T00:00:00Z", "ending_at": "2026-11-06T00:00:00Z", "results": list(results)}
    return {"data": [bucket], "has_more": False, "next_page": None}


class TestOpenAI:
    def test_usage_api(self, tmp_path: Path) -> None:
        page = openai_page(
            completions("gpt-4o-2024-08-06", input_tokens=1000, output_tokens=500, input_cached_tokens=800),
            completions("gpt-4o-2024-08-06", input_tokens=10, num_model_requests=5, input_cache_write_tokens=3),
        )
        export = export_of(tmp_path, page)
        assert (export.kind, export.provider, export.days) == ("OpenAI API", "openai", {DAY})
        assert export.rows == [UsageRow(DAY, "openai", "gpt-4o-2024-08-06", 5, 1010, 800, 3, 500)]

    def test_the_pages_of_these_tests_are_what_openais_own_client_reads(self) -> None:
        types = pytest.importorskip("openai.types.admin.organization", reason="openai is not installed")
        usage = openai_page(completions("gpt-4o-2024-08-06", input_tokens=1000, input_cache_write_tokens=3))
        cost = {"object": "organization.costs.result", "amount": {"value": 0.5, "currency": "usd"}, "line_item": "a, b"}
        for page in (usage, openai_page(cost)):
            types.UsageCostsResponse.model_validate(page, strict=True)

    def test_narrow_buckets_add_up_to_their_day(self, tmp_path: Path) -> None:
        page = openai_page(completions("m", num_model_requests=1))
        page["data"].append({**page["data"][0], "start_time": START + 3600, "end_time": START + 7200})
        assert [row.calls for row in export_of(tmp_path, page).rows] == [2]

    @pytest.mark.parametrize("shape", ["page", "list of pages", "lines", "list of buckets"])
    def test_one_or_many_pages(self, tmp_path: Path, shape: str) -> None:
        pages = [openai_page(completions("m", num_model_requests=1), start=START + 86400 * n) for n in range(2)]
        content: Any = {
            "page": {**pages[0], "data": pages[0]["data"] + pages[1]["data"]},
            "list of pages": pages,
            "lines": "\n".join(json.dumps(page) for page in pages),
            "list of buckets": pages[0]["data"] + pages[1]["data"],
        }[shape]
        export = export_of(tmp_path, content)
        assert [row.day for row in export.rows] == [DAY, date(2026, 11, 6)]

    def test_an_unfinished_download_is_noted(self, tmp_path: Path) -> None:
        assert "not complete" in export_of(tmp_path, openai_page(has_more=True)).notes[0]

    def test_costs_api(self, tmp_path: Path) -> None:
        items = {
            "gpt-4o-2024-08-06, input": 0.25,
            "gpt-4o-2024-08-06, cached input": 0.05,
            "priority | gpt-5.6-sol, output, long context": 1.5,
            "gpt-image-2.5-flare image, output": 0.125,
            "web search tool calls": 2,
        }
        results = [
            {
                "object": "organization.costs.result",
                "amount": {"value": value, "currency": "usd"},
                "line_item": item,
                "project_id": None,
            }
            for item, value in items.items()
        ]
        export = export_of(tmp_path, openai_page(*results))
        costs = {row.model: row.cost_usd for row in export.rows}
        assert costs == {
            "gpt-4o-2024-08-06": Decimal("0.30"),
            "gpt-5.6-sol": Decimal("1.5"),
            "gpt-image-2.5-flare": Decimal("0.125"),
        }
        assert export.other == [OtherCost(DAY, "web search tool calls", Decimal(2))]

    def test_usage_csv_of_the_dashboard(self, tmp_path: Path) -> None:
        text = (
            "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,"
            "batch,service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens\n"
            f"{START},{START + 86400},2026-11-05T00:00:00+00:00,2026-11-06T00:00:00+00:00,proj_1,10.0,user-1,key_1,"
            "gpt-4o-2024-08-06,FALSE,default,59200.0,10646.0,5760.0,53440.0\n"
            f"{START + 86400},{START + 172800},2026-11-06T00:00:00+00:00,2026-11-07T00:00:00+00:00,,,,,,,,,,,\n"
        )
        export = export_of(tmp_path, text)
        assert export.rows == [UsageRow(DAY, "openai", "gpt-4o-2024-08-06", 10, 59200, 5760, None, 10646)]
        assert export.days == {DAY, date(2026, 11, 6)}

    def test_cost_csv_of_the_dashboard(self, tmp_path: Path) -> None:
        text = (
            "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n"
            f"{START},{START + 86400},,,0.8958740000000000,usd,,\n"
            f"{START + 86400},{START + 172800},,,,,,\n"
        )
        export = export_of(tmp_path, text)
        assert export.rows == [UsageRow(DAY, "openai", "", cost_usd=Decimal("0.895874"))]


class TestAnthropic:
    def test_usage_report(self, tmp_path: Path) -> None:
        result = {
            "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
            "cache_read_input_tokens": 200,
            "context_window": "0-200k",
            "model": "claude-sonnet-4-20250514",
            "output_tokens": 500,
            "server_tool_use": {"web_search_requests": 10},
            "service_tier": "standard",
            "uncached_input_tokens": 1500,
        }
        export = export_of(tmp_path, anthropic_page(result))
        assert (export.kind, export.provider) == ("Anthropic Admin API", "anthropic")
        assert export.rows == [UsageRow(DAY, "anthropic", "claude-sonnet-4-20250514", None, 3200, 200, 1500, 500)]

    def test_cost_report_is_in_cents(self, tmp_path: Path) -> None:
        tokens = {"amount": "123.45", "currency": "USD", "cost_type": "tokens", "model": "claude-opus-4-5"}
        search = {"amount": "100", "currency": "USD", "cost_type": "web_search", "model": None}
        export = export_of(tmp_path, anthropic_page(tokens, search))
        assert [(row.model, row.cost_usd) for row in export.rows] == [("claude-opus-4-5", Decimal("1.2345"))]
        assert export.other == [OtherCost(DAY, "web_search", Decimal(1))]

    def test_usage_csv_of_the_console(self, tmp_path: Path) -> None:
        text = (
            "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
            "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
            "usage_output_tokens,web_search_count,inference_geo,speed\n"
            "2026-11-05,claude-sonnet-4-20250514,key,Default,standard,≤ 200k,100000,10,20,40,500,0,global,\n"
            "2026-11-05 13:00,claude-sonnet-4-20250514,other,Default,standard,≤ 200k,1,0,0,0,1,0,global,\n"
        )
        export = export_of(tmp_path, text)
        assert export.rows == [UsageRow(DAY, "anthropic", "claude-sonnet-4-20250514", None, 100071, 40, 30, 501)]

    def test_cost_csv_of_the_console(self, tmp_path: Path) -> None:
        text = (
            "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,"
            "cost_type,inference_geo,speed\n"
            "2026-11-05,Claude Haiku 4.5,Default,k,message,≤ 200k,input_no_cache,0.05,0.05,token,global,\n"
            "2026-11-05,Claude Haiku 4.5,Default,k,message,≤ 200k,output,0.02,0.02,token,global,\n"
            "2026-11-05,,Default,k,web_search,,,0.30,0.30,web_search,,\n"
        )
        export = export_of(tmp_path, text)
        assert [(row.model, row.cost_usd, row.rounding_usd) for row in export.rows] == [
            ("claude haiku 4.5", Decimal("0.07"), Decimal("0.010"))
        ]
        assert export.other == [OtherCost(DAY, "web_search", Decimal("0.30"))]


class TestCsvVariations:
    ROW = "2026-11-05,claude-opus-4-5,7,3"

    @pytest.mark.parametrize(
        "text",
        [
            "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_output_tokens\n" + ROW,
            "\ufeffUsage Date UTC;Model Version;Usage Input Tokens No Cache;Usage Output Tokens\r\n"
            + ROW.replace(",", ";"),
            "usage_date_utc\tmodel\tusage_input_tokens_no_cache\tusage_output_tokens\tnew_column\n"
            + ROW.replace(",", "\t"),
            '\n"usage_output_tokens","usage_date_utc","usage_input_tokens_no_cache","model_version"\n'
            '"3.0","2026-11-05T00:00:00Z","7","Claude-Opus-4-5"\n\n',
        ],
    )
    def test_order_case_delimiter_and_further_columns_do_not_matter(self, tmp_path: Path, text: str) -> None:
        assert export_of(tmp_path, text).rows == [UsageRow(DAY, "anthropic", "claude-opus-4-5", None, 7, None, None, 3)]

    def test_utf_16_as_spreadsheets_write_it(self, tmp_path: Path) -> None:
        path = tmp_path / "export.csv"
        path.write_text(
            f"usage_date_utc,model_version,usage_input_tokens_no_cache,usage_output_tokens\n{self.ROW}", "utf-16"
        )
        assert read_export(path).rows[0].output_tokens == 3


class TestBadFiles:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "is empty"),
            ("  \n ", "is empty"),
            ("{", "is not JSON"),
            ("[" * 100_000, "is not JSON"),
            ('{"data": [{"start_time": NaN, "results": []}]}', "NaN is not a time"),
            ("[]", "has no usage buckets"),
            ('{"error": {"message": "invalid key"}}', "the provider refused the export: invalid key"),
            ('{"data": [{"aggregation_timestamp": 1730419200, "n_requests": 3}]}', "OpenAI's old /v1/usage"),
            ('{"data": [{"start_time": "soon", "end_time": 1, "results": []}]}', "bucket 0: 'soon' is not a time"),
            ('{"data": [{"start_time": 1e300, "end_time": 1, "results": []}]}', "is not a time"),
            ('{"data": [{"start_time": 0, "end_time": 864000, "results": []}]}', "longer than a day"),
            ('{"data": [{"start_time": 0, "end_time": 1, "results": [7]}]}', "a result is not an object"),
            ("a,b,c\n1,2,3\n", "not a known export. Its columns are a, b, c"),
            ("usage_date_utc,usage_output_tokens\n", "without a single day"),
            ("usage_date_utc,usage_output_tokens\nAugust,1\n", "line 2: 'August' is not a time"),
            ("usage_output_tokens,x\n1,2\n", "line 2: no day"),
            ("usage_date_utc,usage_output_tokens\n2026-11-05,many\n", "line 2: usage_output_tokens is 'many'"),
            ("usage_date_utc,usage_output_tokens\n2026-11-05,-1\n", "not a count"),
            ("usage_date_utc,usage_output_tokens\n2026-11-05,1.5\n", "not a count"),
            ("usage_date_utc,usage_output_tokens\n2026-11-05,1e999999\n", "not a count"),
            ("usage_date_utc,token_type,cost_usd\n2026-11-05,output,free\n", "'free' is not an amount"),
            (f"start_time,amount_value,amount_currency\n{START},1,eur\n", "amounts are in eur"),
            (f'start_time,amount_value\n{START},"{"x" * 200_000}"\n', "not CSV"),
        ],
    )
    def test_the_error_says_what_is_wrong(self, tmp_path: Path, content: str, message: str) -> None:
        with pytest.raises(BadRequest) as caught:
            export_of(tmp_path, content)
        assert message in str(caught.value)

    def test_a_missing_file_and_one_that_is_no_text(self, tmp_path: Path) -> None:
        with pytest.raises(BadRequest, match="cannot read"):
            read_export(tmp_path / "missing.csv")
        (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\xff\x00")
        with pytest.raises(BadRequest, match="not text"):
            read_export(tmp_path / "image.png")

    @given(content=st.text())
    def test_no_text_makes_it_fail_in_another_way(self, tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
        path = tmp_path_factory.getbasetemp() / "any"
        path.write_text(content, errors="replace")
        with contextlib.suppress(BadRequest):
            read_export(path)


def export_with(*rows: UsageRow, provider: str = "openai", days: tuple[date, ...] = (DAY,)) -> Export:
    return Export("test", provider, list(rows), days=set(days))


def row(model: str, calls: int | None = None, cost: str | None = None, day: date = DAY, **more: Any) -> UsageRow:
    return UsageRow(day, "openai", model, calls, cost_usd=None if cost is None else Decimal(cost), **more)


def statuses(report: Report) -> dict[str, str]:
    return {line.model: line.status for line in report.lines}


class TestCompare:
    def test_each_line_is_matched_different_missing_or_extra(self) -> None:
        theirs = export_with(row("a", 1), row("b", 2), row("c", 3))
        report = compare(theirs, [row("a", 1), row("b", 5), row("d", 4)])
        assert statuses(report) == {"a": "matched", "b": "different", "c": "missing", "d": "extra"}
        assert not report.within_tolerance
        assert report.totals() == {"calls": (6, 10)}

    def test_everything_matched_is_within_tolerance(self) -> None:
        report = compare(export_with(row("a", 1, "0.5")), [row("a", 1, "0.5")])
        assert report.within_tolerance
        assert report.counts == {"matched": 1}

    def test_only_what_the_export_states_is_compared(self) -> None:
        report = compare(export_with(row("a", cost="0.5")), [row("a", 7, "0.5", input_tokens=100)])
        assert [one.figure for one in report.lines[0].figures] == ["cost_usd"]
        assert report.within_tolerance

    @pytest.mark.parametrize(
        ("ours", "status"), [(100, "matched"), (101, "matched"), (99, "matched"), (102, "different")]
    )
    def test_tolerance_is_a_share_of_the_larger(self, ours: int, status: str) -> None:
        report = compare(export_with(row("a", 100)), [row("a", ours)], tolerance=Decimal("0.01"))
        assert statuses(report) == {"a": status}

    def test_amounts_rounded_to_cents_may_differ_by_what_rounding_took(self) -> None:
        theirs = row("a", cost="0.07")._replace(rounding_usd=Decimal("0.01"))
        assert compare(export_with(theirs), [row("a", cost="0.079")]).within_tolerance
        assert not compare(export_with(theirs), [row("a", cost="0.0801")]).within_tolerance

    def test_a_snapshot_matches_itself_first_and_its_alias_after(self) -> None:
        theirs = export_with(row("gpt-4o", 3), row("gpt-4o-2024-05-13", 7))
        ours = [row("gpt-4o-2024-08-06", 2), row("gpt-4o-2024-11-20", 1), row("gpt-4o-2024-05-13", 7)]
        report = compare(theirs, ours)
        assert statuses(report) == {"gpt-4o": "matched", "gpt-4o-2024-05-13": "matched"}

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ("claude haiku 4.5", "claude-haiku-4-5-20251001"),
            ("claude 3.5 sonnet 2024-10-22", "claude-3-5-sonnet-20241022"),
            ("claude-sonnet-4-5", "Claude-Sonnet-4-5-20250929"),
            ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ],
    )
    def test_names_of_the_same_model_match(self, theirs: str, ours: str) -> None:
        assert compare(export_with(row(theirs, 1)), [row(ours, 1)]).within_tolerance

    @pytest.mark.parametrize("other", ["gpt-4o-mini", "gpt-4", "gpt-4o-audio-preview"])
    def test_names_that_only_begin_alike_do_not(self, other: str) -> None:
        report = compare(export_with(row("gpt-4o", 1)), [row(other, 1)])
        assert statuses(report) == {"gpt-4o": "missing", other: "extra"}

    def test_an_export_without_models_is_compared_by_day(self) -> None:
        report = compare(export_with(row("", cost="3")), [row("a", cost="1"), row("b", cost="2")])
        assert statuses(report) == {"": "matched"}

    def test_a_covered_day_without_usage_makes_ours_extra(self) -> None:
        report = compare(
            export_with(row("a", 1), days=(DAY, date(2026, 11, 6))), [row("a", 1), row("a", 1, day=date(2026, 11, 6))]
        )
        assert report.counts == {"matched": 1, "extra": 1}

    def test_other_days_and_providers_are_left_out_with_a_note(self) -> None:
        ours = [row("a", 1), row("a", 9, day=date(2026, 11, 7)), row("a", 9)._replace(provider="anthropic")]
        report = compare(export_with(row("a", 1)), ours)
        assert report.within_tolerance
        assert report.notes == ("2 of our rows are of days or providers that the export does not cover: not compared",)

    def test_rows_of_ours_may_be_split_further(self) -> None:
        assert compare(export_with(row("a", 3)), [row("a", 1), row("a", 2)]).within_tolerance

    @given(counts=st.lists(st.tuples(st.sampled_from(["a", "a-2026-01-01", "b"]), st.integers(0, 9)), max_size=8))
    def test_a_books_own_figures_always_match(self, counts: list[tuple[str, int]]) -> None:
        rows = [row(model, calls) for model, calls in counts]
        report = compare(export_with(*rows), rows)
        assert report.within_tolerance
        assert sum(theirs for theirs, _ in report.totals().values()) == sum(calls for _, calls in counts)


def test_the_report_tells_people_and_programs_the_same(tmp_path: Path) -> None:
    page = openai_page(completions("a", num_model_requests=2), completions("b", num_model_requests=1))
    report = compare(export_of(tmp_path, page), [row("a", 2), row("b", 3)])
    text, data = render(report), to_json(report)
    assert "2026-11-05 different b" in text
    assert "theirs                    1  ours                    3  66.67%" in text
    assert text.endswith("1 matched, 1 different, 0 missing, 0 extra")
    assert data["within_tolerance"] is False
    assert data["lines"][1]["figures"]["calls"] == {"theirs": 1, "ours": 3, "within": False}
    assert json.loads(json.dumps(data)) == data


def test_counts_of_nothing_with_huge_exponents_are_counts(tmp_path: Path) -> None:
    text = (
        "start_time,model,num_model_requests,input_tokens\n2026-11-01,gpt-9,2,0E+6144\n2026-11-01,gpt-9,0.0,0E-6176\n"
    )
    (row,) = export_of(tmp_path, text, "usage.csv").rows
    assert (row.calls, row.input_tokens) == (2, 0)


def test_amounts_of_nothing_with_huge_exponents_are_amounts(tmp_path: Path) -> None:
    amounts = ("0E-6176", "0E+6144", "0e999999999", "12.50", "1E-50", " 0.003627500000000000000000000000000000 ")
    costs = [{"amount": {"value": amount, "currency": "usd"}, "line_item": "gpt-9, input"} for amount in amounts]
    export = export_of(tmp_path, openai_page(*costs))
    assert [row.cost_usd for row in export.rows] == [Decimal("12.5036275")]
    report = render(compare(export, []))
    assert max(map(len, report.splitlines())) < 200
    assert "E-" not in report


def test_an_unreadable_line_of_a_csv_is_listed_and_costs_no_other_line(tmp_path: Path) -> None:
    text = (
        "start_time,model,num_model_requests,input_tokens,output_tokens\n"
        f"{START},gpt-4o,1,10,5\n{START},gpt-4o,1,many,5\nnever,gpt-4o,1,10,5\n{START}\n{START},gpt-4o,1,10,5\n"
    )
    export = export_of(tmp_path, text, "usage.csv")
    assert [(row.calls, row.input_tokens) for row in export.rows] == [(2, 20)]
    assert [line.split(": ")[0] for line in export.unreadable] == ["usage.csv, line 3", "usage.csv, line 4"]
    ours = [UsageRow(DAY, "openai", "gpt-4o", 2, 20, None, None, 10)]
    report = compare(export, ours)
    assert statuses(report) == {"gpt-4o": "matched"}
    assert not report.within_tolerance
    assert "left out: usage.csv, line 3: input_tokens is 'many', not a count" in render(report)


def test_an_unreadable_result_of_an_api_page_is_listed_and_costs_no_other(tmp_path: Path) -> None:
    broken = {"start_time": "soon", "end_time": START, "results": []}
    page = openai_page(completions("m", num_model_requests=1), completions("m", num_model_requests=-4))
    page["data"].append(broken)
    export = export_of(tmp_path, page)
    assert [row.calls for row in export.rows] == [1]
    assert len(export.unreadable) == 2
    assert to_json(compare(export, []))["unreadable"] == export.unreadable
