"""The benchmarks that `spanledger bench` names, and one of them run for a short time."""

from typing import get_args

import pytest

from spanledger.bench import attack
from spanledger.cli import bench


def test_every_benchmark_that_is_named_can_be_asked_for() -> None:
    assert list(get_args(bench.Benchmark)) == list(bench._BENCHMARKS)


@pytest.mark.slow
def test_no_good_span_is_lost_beside_an_attack() -> None:
    figures = attack.run(minutes=0.5)
    assert figures["good_refused"] == 0
    assert figures["good_in_the_books"] == figures["good_spans"] > 0
    assert "failed" not in figures["beside_ms"]
    assert sum(map(sum, (counts.values() for counts in figures["attacks"].values()))) > 0
