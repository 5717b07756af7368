"""The oracle reads from raw OTLP what a forest knows of itself by construction."""

from dataclasses import asdict, replace
from decimal import Decimal

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from oracle.deliveries import deliveries
from oracle.forests import Forest, forests, isolated
from oracle.rules import expected
from oracle.spans import encode
from oracle.totals import DIMENSIONS, Amounts, Totals

LARGE = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


def readable(totals: Totals) -> dict[str, dict[str, object]]:
    """Totals without their zeros, so that a difference can be seen."""
    return {
        f"{dimension} {key}": {name: value for name, value in asdict(amounts).items() if value}
        for dimension, sums in totals.sums.items()
        for key, amounts in sums.items()
    }


@given(forest=forests())
@settings(LARGE, max_examples=150)
def test_the_oracle_agrees_with_the_truth_of_the_forest(forest: Forest) -> None:
    event(f"spans: {min(len(forest.spans) // 10 * 10, 60)}+")
    assert readable(expected([encode(forest.spans)])) == readable(forest.truth)


@given(data=st.data(), forest=forests(max_traces=2))
@settings(LARGE, max_examples=40)
def test_the_way_spans_arrive_changes_nothing(data: st.DataObject, forest: Forest) -> None:
    delivery = data.draw(deliveries(forest.spans))
    assert readable(expected(delivery.bodies)) == readable(forest.truth)


@given(forest=forests())
@settings(LARGE, max_examples=40)
def test_every_dimension_adds_up_to_the_same(forest: Forest) -> None:
    sums = [replace(forest.truth.grand(dimension), tool_calls=0, failed_tool_calls=0) for dimension in DIMENSIONS]
    assert sums == [sums[0]] * len(DIMENSIONS)
    tenant, _, *others = (forest.truth.grand(dimension) for dimension in DIMENSIONS)
    assert others == [tenant] * len(others)


@given(forest=forests(max_traces=2))
@settings(LARGE, max_examples=20)
def test_an_isolated_forest_is_the_same_forest_under_other_names(forest: Forest) -> None:
    alone = isolated(forest, "example-7")
    assert readable(expected([encode(alone.spans)])) == readable(alone.truth)
    assert {span.tenant for span in alone.spans}.isdisjoint(span.tenant for span in forest.spans)
    assert {span.trace_id for span in alone.spans}.isdisjoint(span.trace_id for span in forest.spans)
    assert [alone.truth.grand(d) for d in DIMENSIONS] == [forest.truth.grand(d) for d in DIMENSIONS]


def test_forests_hold_everything_that_the_books_must_bear() -> None:
    """Every feature turns up, so that a property over forests means something."""
    met = Amounts()
    copies = 0

    @given(forest=forests())
    @settings(LARGE, max_examples=200, database=None, derandomize=True)
    def collect(forest: Forest) -> None:
        nonlocal met, copies
        met += forest.truth.grand("tenant")
        calls = sum(span.name == "call" for span in forest.spans)
        copies += calls - forest.truth.grand("tenant").llm_calls - forest.truth.grand("tenant").failed_calls

    collect()
    assert all(value > Decimal(0) for value in asdict(met).values()), met
    assert copies > met.llm_calls / 4
