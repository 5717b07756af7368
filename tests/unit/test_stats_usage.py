"""Usage of any window by any dimension: exact, equal on every level, the same from every table that may answer."""

from decimal import Decimal

import pytest

from ledger_rows import NOON, SECOND, Post, ledger_row, write_rows
from spanledger.errors import BadRequest
from spanledger.pricing.price import Price, Rates, Step
from spanledger.stats import breakdown as stats
from spanledger.stats.savings import savings
from spanledger.stats.times import ALL_TIME, Window, format_time, parse_time, window
from spanledger.stats.usage import decimal_text
from spanledger.store.client import Store

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("0E-15", "0"),
        ("0.000000000000001", "0.000000000000001"),
        ("1E-7", "0.0000001"),
        ("12.500", "12.5"),
        ("100", "100"),
        ("-0.00", "0"),
        ("-1.50", "-1.5"),
        ("99999999999999999999999.000000000000001", "99999999999999999999999.000000000000001"),
    ],
)
def test_money_is_written_plain_and_exact(text: str, plain: str) -> None:
    assert decimal_text(Decimal(text)) == plain


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-21T12:00:00Z", NOON),
        ("2026-11-21t12:00:00z", NOON),
        ("2026-11-21T14:00:00+02:00", NOON),
        ("2026-11-21T14:00:00 02:00", NOON),  # an unescaped + in a query string
        ("2026-11-21T12:00:00", NOON),
        ("2026-11-21T12:00:00.000000001Z", NOON + 1),
        ("2026-11-21T12:00:00.5Z", NOON + SECOND // 2),
        ("2026-11-21", NOON - 12 * HOUR),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_times_are_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "2026-11-21T25:00:00Z", "1795262400", "9999-01-01", "1969-12-31"]
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadRequest, match=r"from='.*(write it like|years 1970)"):
        window(text, None)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(BadRequest, match="later than"):
        window("2026-11-22", "2026-11-21")


def test_format_time_is_rfc3339_utc() -> None:
    assert format_time(NOON + 123_456_789) == "2026-11-21T12:00:00.123456Z"


def test_totals_add_up_over_entries_and_corrections(store: Store, tenant: str, post: Post) -> None:
    call = {"trace_id": "t", "span_id": "s", "model": "wrong", "input_tokens": 10, "output_tokens": 5}
    post(**call, cost_usd="0.000000000000003")
    post(**{**call, "llm_calls": -1, "input_tokens": -10, "output_tokens": -5}, cost_usd="-0.000000000000003")
    post(**{**call, "model": "right", "cache_read_input_tokens": 4, "reasoning_output_tokens": 2}, cost_usd="0.1")
    found = stats.breakdown(store, tenant, group_by=["model"])
    assert found.usage.llm_calls == 1
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.total_tokens) == (10, 5, 15)
    assert (found.usage.cache_read_input_tokens, found.usage.reasoning_output_tokens) == (4, 2)
    assert found.usage.cost_usd == "0.1"
    assert [g["model"] for g in found.groups] == ["right"]  # what was taken back entirely is not listed


def test_cost_state_is_the_common_one_or_mixed(store: Store, tenant: str, post: Post) -> None:
    post(model="a")
    post(model="b", computed_calls=0, estimated_calls=1)
    post(model="b", computed_calls=0, unpriced_calls=1)
    post(model="c", computed_calls=0, unpriced_calls=1)
    by_model = {g["model"]: g["usage"] for g in stats.breakdown(store, tenant, group_by=["model"]).groups}
    assert {m: (u.cost_state, u.priced_share) for m, u in by_model.items()} == {
        "a": ("computed", 1.0),
        "b": ("mixed", 0.5),
        "c": ("unpriced", 0.0),
    }


def test_nothing_used_is_zero_with_full_coverage(store: Store, tenant: str) -> None:
    found = stats.user_usage(store, tenant, "nobody", ALL_TIME, "day")
    assert (found.usage.llm_calls, found.usage.cost_usd, found.usage.priced_share) == (0, "0", 1.0)
    assert found.usage.cost_state == "computed"
    assert found.buckets == []


OFFSETS = [-DAY, -HOUR, -1, 0, 1, MINUTE - 1, MINUTE, HOUR - 1, HOUR, DAY - 1, DAY]


@pytest.fixture(scope="module")
def calls(store: Store) -> str:
    """The tenant of eleven calls around the edges of minutes, hours and days, and of one failed tool run."""
    tenant = "calls-around-edges"
    rows = [
        ledger_row(
            number,
            tenant,
            started_at=NOON + offset,
            user_id=f"user-{number % 3}",
            conversation_id=f"conversation-{number % 4}",
            model=f"model-{number % 2}",
            provider="p'q\\",
            input_tokens=10**number,
            cost_usd=f"0.{'0' * number}1",
        )
        for number, offset in enumerate(OFFSETS)
    ]
    tool = ledger_row(99, tenant, kind="tool", tool="search", tool_calls=1, failed_tool_calls=1)
    write_rows(store, "ledger", [*rows, tool])
    return tenant


@pytest.mark.parametrize("group_by", [[d] for d in stats.DIMENSIONS] + [["model", "user"], ["conversation", "user"]])
@pytest.mark.parametrize(
    "span", [ALL_TIME, Window(NOON, NOON + HOUR), Window(NOON + 1, NOON + DAY), Window(None, NOON)]
)
def test_every_level_adds_up_to_the_same_total(store: Store, calls: str, group_by: list[str], span: Window) -> None:
    total = stats.breakdown(store, calls, span).usage
    for bucket in (None, "minute", "hour", "day"):
        found = stats.breakdown(store, calls, span, group_by, bucket=bucket)
        assert found.usage == total
        for level in (found.groups, [vars(b) for b in found.buckets] if bucket else found.groups):
            assert sum(Decimal(row["usage"].cost_usd) for row in level) == Decimal(total.cost_usd)
            assert sum(row["usage"].input_tokens for row in level) == total.input_tokens
            assert sum(row["usage"].llm_calls for row in level) == total.llm_calls


@pytest.mark.parametrize(
    "span", [Window(NOON, NOON + 1), Window(NOON + 1, NOON + MINUTE), Window(NOON - 1, NOON), Window(NOON, NOON + DAY)]
)
def test_a_window_includes_its_start_and_excludes_its_end(store: Store, calls: str, span: Window) -> None:
    expected = sum(10**n for n, o in enumerate(OFFSETS) if span.first_ns <= NOON + o <= span.last_ns)
    assert stats.breakdown(store, calls, span).usage.input_tokens == expected
    assert stats.breakdown(store, calls, span, ["conversation"]).usage.input_tokens == expected


def test_filters_narrow_and_several_values_widen(store: Store, calls: str) -> None:
    one = stats.breakdown(store, calls, only={"model": ["model-0"], "provider": ["p'q\\"]})
    both = stats.breakdown(store, calls, only={"model": ["model-0", "model-1"]})
    assert (one.usage.llm_calls, both.usage.llm_calls) == (6, 11)
    assert stats.breakdown(store, calls, only={"user": ["user-0"], "model": ["model-0"]}).usage.llm_calls == 2
    assert stats.breakdown(store, calls, only={"status": ["nonsense"]}).usage.llm_calls == 0


def test_user_buckets_are_the_hours_and_days_of_the_calls(store: Store, calls: str) -> None:
    days = stats.user_usage(store, calls, "user-0", ALL_TIME, "day")
    assert [b.start for b in days.buckets] == [
        "2026-11-20T00:00:00.000000Z",
        "2026-11-21T00:00:00.000000Z",
        "2026-11-22T00:00:00.000000Z",
    ]
    hours = stats.user_usage(store, calls, "user-0", Window(NOON + 1, None), "hour")
    assert sum(b.usage.llm_calls for b in hours.buckets) == hours.usage.llm_calls == 2


def test_tool_runs_are_counted_where_tools_are_asked_for(store: Store, calls: str) -> None:
    by_tool = {g["tool"]: g for g in stats.breakdown(store, calls, group_by=["tool"]).groups}
    assert (by_tool["search"]["tool_calls"], by_tool["search"]["failed_tool_calls"]) == (1, 1)
    assert by_tool["search"]["usage"].llm_calls == 0
    assert by_tool[""]["usage"].llm_calls == 11


def test_more_groups_than_the_limit_are_reported_as_truncated(store: Store, calls: str) -> None:
    found = stats.breakdown(store, calls, group_by=["user"], limit=2)
    assert found.truncated
    assert [g["user"] for g in found.groups] == ["user-0", "user-1"]  # dearest first
    assert found.usage.llm_calls == 11


def test_unknown_dimension_and_bucket_say_what_is_allowed(store: Store, tenant: str) -> None:
    with pytest.raises(BadRequest, match="'colour' is not a dimension; these are: provider, model"):
        stats.breakdown(store, tenant, group_by=["colour"])
    with pytest.raises(BadRequest, match="it can be minute, hour, day"):
        stats.breakdown(store, tenant, bucket="century")


def test_another_tenants_calls_are_never_counted(store: Store, tenant: str, post: Post) -> None:
    post(tenant="someone else", user_id="u", cost_usd="1")
    post(user_id="u", cost_usd="2")
    assert stats.user_usage(store, tenant, "u", ALL_TIME, "day").usage.cost_usd == "2"
    assert stats.breakdown(store, tenant, only={"tenant": ["someone else"]}).usage.llm_calls == 0


@pytest.mark.parametrize("group_by", [["model"], ["user"], ["conversation"], ["model", "user"]])
@pytest.mark.parametrize("bucket", ["minute", "hour", "day"])
def test_the_buckets_of_a_group_add_up_to_it(store: Store, calls: str, group_by: list[str], bucket: str) -> None:
    found = stats.breakdown(store, calls, ALL_TIME, group_by, bucket=bucket, series=3)
    assert found.groups == [
        {**group, **({"buckets": found.groups[place]["buckets"]} if place < 3 else {})}  # type: ignore[misc]
        for place, group in enumerate(stats.breakdown(store, calls, ALL_TIME, group_by, bucket=bucket).groups)
    ]
    for group in found.groups[:3]:
        only = {name: [group[name]] for name in group_by}  # type: ignore[literal-required]
        assert group["buckets"] == stats.breakdown(store, calls, ALL_TIME, only=only, bucket=bucket).buckets


def test_a_cache_saves_what_reading_from_it_costs_less(store: Store, tenant: str, post: Post) -> None:
    prices = {
        "gpt-4o": Price("p", "gpt-4o", "test", {"": (Step(0, Rates(input=100, cache_read=10, cache_write=125)),)})
    }
    post(model="gpt-4o", provider="p", input_tokens=1000, cache_read_input_tokens=600, cache_write_input_tokens=40)
    post(model="unknown", provider="p", input_tokens=500, cache_read_input_tokens=50)
    post(model="plain", provider="p", input_tokens=500)
    found = savings(store, tenant, lambda provider, model, at: prices.get(model))
    assert Decimal(found.saved_usd) == Decimal(600 * 90 - 40 * 25).scaleb(-15)
    assert (found.cache_read_input_tokens, found.cache_write_input_tokens, found.unpriced_tokens) == (650, 40, 50)
    assert [(line.model, line.saved_usd) for line in found.items] == [("gpt-4o", found.saved_usd), ("unknown", None)]
