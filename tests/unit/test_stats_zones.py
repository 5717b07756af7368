"""Buckets as people count them: days of a zone with summer time, weeks, months; top and other; the window before."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rows import NOON, SECOND, Post
from spanledger.errors import BadRequest
from spanledger.stats.breakdown import breakdown, with_previous
from spanledger.stats.times import Window, parse_time
from spanledger.stats.zones import start_of, zone
from spanledger.store.client import Store

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")


@given(st.integers(0, 2**31), st.sampled_from(ZONES), st.sampled_from(["day", "week", "month"]))
def test_a_bucket_begins_at_a_local_midnight_before(at_s: int, name: str, length: str) -> None:
    place = ZoneInfo(name)
    start = start_of(length, place)(at_s)
    local = datetime.fromtimestamp(start, UTC).astimezone(place)
    moment = datetime.fromtimestamp(at_s, UTC).astimezone(place)
    assert start <= at_s
    assert (local.hour, local.minute) == (0, 0) or local.date() == moment.date()
    assert (
        local.date()
        == {
            "day": moment.date(),
            "week": moment.date() - timedelta(days=moment.weekday()),
            "month": moment.date().replace(day=1),
        }[length]
    )
    assert start_of(length, place)(start) == start


def at(text: str) -> int:
    return parse_time(text)


def test_days_of_a_zone_have_23_to_25_hours(store: Store, tenant: str, post: Post) -> None:
    # In Berlin 2026-10-25 lasts from 22:00Z the day before to 23:00Z.
    for hour in range(48):
        post(started_at=at("2026-10-24T12:00:00Z") + hour * 3600 * SECOND, input_tokens=1)
    window = Window(at("2026-10-24T12:00:00Z"), at("2026-10-26T12:00:00Z"))
    local = breakdown(store, tenant, window, bucket="day", tz="Europe/Berlin").buckets
    assert [(b.start, b.usage.input_tokens) for b in local] == [
        ("2026-10-23T22:00:00.000000Z", 10),
        ("2026-10-24T22:00:00.000000Z", 25),
        ("2026-10-25T23:00:00.000000Z", 13),
    ]
    utc = breakdown(store, tenant, window, bucket="day").buckets
    assert [b.usage.input_tokens for b in utc] == [12, 24, 12]


def test_zones_with_half_hours_and_users(store: Store, tenant: str, post: Post) -> None:
    post(started_at=at("2026-03-01T18:29:00Z"), input_tokens=1, user_id="ada")
    post(started_at=at("2026-03-01T18:31:00Z"), input_tokens=2, user_id="ada")
    found = breakdown(store, tenant, bucket="day", tz="Asia/Kolkata", only={"user": ["ada"]}).buckets
    assert [(b.start, b.usage.input_tokens) for b in found] == [
        ("2026-02-28T18:30:00.000000Z", 1),
        ("2026-03-01T18:30:00.000000Z", 2),
    ]


def test_weeks_and_months(store: Store, tenant: str, post: Post) -> None:
    for day, tokens in (("2026-11-29", 1), ("2026-11-30", 2), ("2026-12-06", 4), ("2026-12-07", 8)):
        post(started_at=at(day), input_tokens=tokens)
    weeks = breakdown(store, tenant, bucket="week").buckets
    assert [(b.start[:10], b.usage.input_tokens) for b in weeks] == [
        ("2026-11-23", 1),
        ("2026-11-30", 6),
        ("2026-12-07", 8),
    ]
    months = breakdown(store, tenant, bucket="month").buckets
    assert [(b.start[:10], b.usage.input_tokens) for b in months] == [("2026-11-01", 3), ("2026-12-01", 12)]


def test_top_and_other_make_up_the_total(store: Store, tenant: str, post: Post) -> None:
    for number in range(5):
        post(user_id=f"u{number}", cost_usd=f"0.00{number + 1}", input_tokens=number)
    found = breakdown(store, tenant, group_by=["user"], top=2)
    assert [group["user"] for group in found.groups] == ["u4", "u3"]
    assert found.other is not None
    assert (found.other.cost_usd, found.other.llm_calls) == ("0.006", 3)
    shown = sum(Decimal(group["usage"].cost_usd) for group in found.groups)
    assert shown + Decimal(found.other.cost_usd) == Decimal(found.usage.cost_usd)


def test_the_window_before_is_as_long(store: Store, tenant: str, post: Post) -> None:
    hour = 3600 * SECOND
    post(started_at=NOON, input_tokens=1)
    post(started_at=NOON - hour, input_tokens=2)
    post(started_at=NOON - 2 * hour, input_tokens=4)
    window = Window(NOON, NOON + hour)
    found = with_previous(store, tenant, window, breakdown(store, tenant, window))
    assert found.usage.input_tokens == 1
    assert found.previous is not None
    assert (found.previous.start, found.previous.usage.input_tokens) == ("2026-11-21T11:00:00.000000Z", 2)
    with pytest.raises(BadRequest, match="from"):
        with_previous(store, tenant, Window(), found)


def test_a_zone_that_is_none_is_refused() -> None:
    for name in ("Mars/Olympus", "../etc/passwd", "", "a\0b"):
        with pytest.raises(BadRequest, match="time zone"):
            zone(name)


@pytest.mark.parametrize(("text", "back_s"), [("-24h", 86_400), ("-7d", 604_800), ("-90s", 90), ("-2w", 1_209_600)])
def test_times_back_from_now(text: str, back_s: int) -> None:
    assert abs(parse_time("now") - parse_time(text) - back_s * SECOND) < 5 * SECOND


@pytest.mark.parametrize("text", ["-", "-h", "24h", "-1y", "-1.5h", "--1h", "yesterday"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_time(text)
