"""The tests of significance give SciPy 1.17's figures."""

import random
import statistics

import pytest

from spanledger.stats.significance import (
    Sample,
    chi_square_above,
    goodness_of_fit,
    interval,
    t_two_sided,
    two_proportions,
    welch,
)

A = [1.2, 3.4, 2.2, 5.1, 4.4]
B = [2.9, 6.1, 5.5, 7.2, 6.6, 4.9, 5.0]


def sample(values: list[float]) -> Sample:
    return Sample(len(values), statistics.mean(values), statistics.variance(values))


@pytest.mark.parametrize(
    ("t", "freedom", "p_value"),
    [
        (0.3, 1.7, 0.7968029183974501),
        (2.0, 10, 0.07338803477074037),
        (-2.5, 3.2, 0.08244173716174748),
        (4.1, 250.5, 5.587006458295987e-05),
        (1.96, 1e5, 0.04999856319430168),
        (12, 2, 0.00687293367715846),
        (0, 5, 1.0),
    ],
)
def test_students_t(t: float, freedom: float, p_value: float) -> None:
    assert t_two_sided(t, freedom) == pytest.approx(p_value, rel=1e-8)


@pytest.mark.parametrize(
    ("statistic", "freedom", "p_value"),
    [
        (0.5, 1, 0.47950012218695337),
        (3.84, 1, 0.05004352124870519),
        (7.3, 2, 0.02599112877875535),
        (1.2, 3, 0.753004311656458),
        (20.0, 7, 0.005569683072945574),
        (15.5, 10, 0.11486811277078343),
        (300, 19, 2.0005232442947767e-52),
        (0, 4, 1.0),
    ],
)
def test_chi_square(statistic: float, freedom: int, p_value: float) -> None:
    assert chi_square_above(statistic, freedom) == pytest.approx(p_value, rel=1e-9)


def test_welch_with_its_interval() -> None:
    found = welch(sample(A), sample(B))
    assert found is not None
    assert found.difference == pytest.approx(statistics.mean(B) - statistics.mean(A))
    assert found.p_value == pytest.approx(0.037961765056540496, rel=1e-8)
    assert (found.low, found.high) == (pytest.approx(0.1560216374671204), pytest.approx(4.238264076818593))


def test_the_interval_of_a_mean() -> None:
    found = interval(sample(A))
    assert (found.low, found.high) == (pytest.approx(1.2897018393633337), pytest.approx(5.230298160636666))


def test_two_proportions() -> None:
    found = two_proportions(40, 1000, 62, 1000)
    assert found is not None
    assert found.p_value == pytest.approx(0.025345805781676098, rel=1e-9)
    assert found.low is not None
    assert found.low > 0


def test_sample_ratio() -> None:
    assert goodness_of_fit([520, 480], [1, 1]) == pytest.approx(0.20590321073206466)
    assert goodness_of_fit([600, 300, 100], [5, 4, 1]) == pytest.approx(1.69189792261513e-10)
    assert goodness_of_fit([600, 400, 0], [3, 2, 0]) == 1.0


def test_too_little_is_told_as_such() -> None:
    one, none = Sample(1, 2.0, 0.0), Sample(0, 0.0, 0.0)
    assert interval(none).mean is None
    assert interval(one).low is None
    assert welch(none, one) is None
    assert welch(one, one) is not None
    assert welch(one, sample(A)).p_value is None  # type: ignore[union-attr]
    assert welch(Sample(5, 1.0, 0.0), Sample(5, 2.0, 0.0)).p_value is None  # type: ignore[union-attr]
    assert welch(Sample(5, 1.0, 0.0), Sample(5, 1.0, 0.0)).p_value == 1.0  # type: ignore[union-attr]
    assert two_proportions(0, 0, 1, 2) is None
    assert two_proportions(0, 9, 0, 9).p_value == 1.0  # type: ignore[union-attr]
    assert goodness_of_fit([5], [1]) is None
    assert goodness_of_fit([0, 0], [1, 1]) is None


def test_one_in_twenty_comparisons_of_the_same_thing_is_significant() -> None:
    source = random.Random(7)
    found = 0
    for _ in range(600):
        left = welch(sample([source.gauss(5, 2) for _ in range(12)]), sample([source.gauss(5, 2) for _ in range(30)]))
        found += left is not None and left.p_value is not None and left.p_value < 0.05
    assert 15 <= found <= 48
