"""The expander does what the plugin does: cases of its own tests (pkg/macros/macros_test.go, 4.20.0), and variables."""

from datetime import UTC, datetime, timedelta

import pytest
from plugin import BadMacro, Range, expand, fill

from spanledger.store.client import Store

FROM = datetime(2014, 11, 12, 11, 45, 26, 123000, tzinfo=UTC)
TO = datetime(2015, 11, 12, 11, 45, 26, 456000, tzinfo=UTC)
WINDOW = Range(FROM, TO, 60_000)
CAST = "cast(sth as timestamp)"


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        (f"$__timeFilter({CAST} )", f"{CAST} >= toDateTime(1415792726) AND {CAST} <= toDateTime(1447328726)"),
        (
            f"$__timeFilter_ms({CAST})",
            f"{CAST} >= fromUnixTimestamp64Milli(1415792726123) AND {CAST} <= fromUnixTimestamp64Milli(1447328726456)",
        ),
        ("( d >= $__fromTime ) and d <= $__toTime", "( d >= toDateTime(1415792726) ) and d <= toDateTime(1447328726)"),
        ("$__fromTime_ms", "fromUnixTimestamp64Milli(1415792726123)"),
        ("$__timeInterval($__fromTime)", "toStartOfInterval(toDateTime(toDateTime(1415792726)), INTERVAL 60 second)"),
        (
            "$__timeInterval_ms($__fromTime_ms)",
            "toStartOfInterval(toDateTime64(fromUnixTimestamp64Milli(1415792726123), 3), INTERVAL 60000 millisecond)",
        ),
        (
            "$__timeFilter(coalesce(closed_at, $__toTime))",
            "coalesce(closed_at, toDateTime(1447328726)) >= toDateTime(1415792726) "
            "AND coalesce(closed_at, toDateTime(1447328726)) <= toDateTime(1447328726)",
        ),
        ("$__dateFilter(d)", "d >= toDate('2014-11-12') AND d <= toDate('2015-11-12')"),
        ("$__interval_s", "60"),
        ("'$__fromTime' -- $__toTime", "'$__fromTime'"),
        ("'O\\'Brien' $__interval_s", "'O\\'Brien' 60"),
        ("`it's` $__interval_s", "`it's` 60"),
        ("$__unknown(x)", "$__unknown(x)"),
    ],
)
def test_macros(written: str, expanded: str) -> None:
    assert expand(written, WINDOW) == expanded


def test_an_interval_below_a_second_is_a_second() -> None:
    assert expand("$__interval_s", Range(FROM, FROM + timedelta(minutes=1), 200)) == "1"


def test_a_macro_with_the_wrong_arguments_is_an_error() -> None:
    with pytest.raises(BadMacro, match="expected 1"):
        expand("$__timeFilter(a, b)", WINDOW)


def test_variables_are_quoted() -> None:
    chosen = {"model": ["a", "it's"], "user": 'O\'Brien "x"', "all": "'*'"}
    assert fill("[${model:sqlstring}]", chosen) == "['a','it''s']"
    assert fill("${user:sqlstring}", chosen) == "'O''Brien \\\"x\\\"'"
    assert fill("[${all:sqlstring}]", chosen) == "['*']"
    with pytest.raises(ValueError, match="without quotes"):
        fill("${user}", chosen)


def test_a_quoted_variable_reaches_the_engine_as_it_was(store: Store) -> None:
    name = 'O\'Brien "the\tfirst"'
    assert store.scalar(f"SELECT {fill('${user:sqlstring}', {'user': name})}") == name
