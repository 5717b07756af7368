"""Whether a difference between two groups is more than chance.

Welch's t-test for means, the two-proportion z-test for shares, Pearson's chi-square for how many came into each group.
Written here, 80 lines on `math`, because SciPy would be 35 MB for three formulas; tests hold them to SciPy's figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Sample:
    """`variance` is the sample's (n − 1)."""

    count: int
    mean: float
    variance: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` = this − baseline, its 95 % interval and the two-sided p-value; None where too little is known."""

    difference: float
    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval; None where too little is known."""

    count: int
    mean: float | None
    low: float | None
    high: float | None


def interval(sample: Sample) -> Interval:
    """The mean by Student's t."""
    if sample.count == 0:
        return Interval(0, None, None, None)
    if sample.count == 1:
        return Interval(1, sample.mean, None, None)
    half = _t_quantile(sample.count - 1) * math.sqrt(sample.variance / sample.count)
    return Interval(sample.count, sample.mean, sample.mean - half, sample.mean + half)


def welch(baseline: Sample, other: Sample) -> Comparison | None:
    """Compares two means without supposing equal variances; None when one group is empty."""
    if baseline.count == 0 or other.count == 0:
        return None
    difference = other.mean - baseline.mean
    if baseline.count < 2 or other.count < 2:
        return Comparison(difference, None, None, None)
    a, b = baseline.variance / baseline.count, other.variance / other.count
    error = math.sqrt(a + b)
    if error == 0:  # nothing varies: either nothing differs, or no test can say
        return Comparison(difference, None, None, 1.0 if difference == 0 else None)
    freedom = (a + b) ** 2 / (a**2 / (baseline.count - 1) + b**2 / (other.count - 1))
    half = _t_quantile(freedom) * error
    return Comparison(difference, difference - half, difference + half, t_two_sided(difference / error, freedom))


def two_proportions(hits: int, of: int, other_hits: int, other_of: int) -> Comparison | None:
    """Compares two shares by the pooled z-test; the interval is the unpooled one."""
    if of == 0 or other_of == 0:
        return None
    share, other = hits / of, other_hits / other_of
    pooled = (hits + other_hits) / (of + other_of)
    error = math.sqrt(pooled * (1 - pooled) * (1 / of + 1 / other_of))
    p_value = 1.0 if error == 0 else math.erfc(abs(other - share) / error / math.sqrt(2))
    half = _NORMAL.inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(share * (1 - share) / of + other * (1 - other) / other_of)
    return Comparison(other - share, other - share - half, other - share + half, p_value)


def goodness_of_fit(observed: Sequence[int], weights: Sequence[float]) -> float | None:
    """The p-value of Pearson's chi-square that `observed` came about by `weights`; None without two groups."""
    pairs = [(count, weight) for count, weight in zip(observed, weights, strict=True) if weight > 0]
    total, whole = sum(count for count, _ in pairs), sum(weight for _, weight in pairs)
    if total == 0 or len(pairs) < 2:
        return None
    statistic = sum((count - total * w / whole) ** 2 / (total * w / whole) for count, w in pairs)
    return chi_square_above(statistic, len(pairs) - 1)


def t_two_sided(t: float, freedom: float) -> float:
    """The probability of a Student's t at least as far from zero."""
    return _beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def chi_square_above(statistic: float, freedom: int) -> float:
    """The probability of a chi-square above `statistic`: by the recurrence from one or two degrees of freedom."""
    half = statistic / 2
    if freedom % 2:
        result, k = math.erfc(math.sqrt(half)), 0.5
    else:
        result, k = math.exp(-half), 1.0
    while k < freedom / 2:
        result += math.exp(k * math.log(half) - half - math.lgamma(k + 1)) if half > 0 else 0.0
        k += 1
    return min(result, 1.0)


def _t_quantile(freedom: float) -> float:
    """The t that CONFIDENCE of the distribution lies within."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_two_sided(middle, freedom) > 1 - CONFIDENCE else (low, middle)
    return high


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Lentz)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    tiny = 1e-300
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1), tiny)
    result = d
    for m in range(1, 1000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + numerator * d, tiny)
            c = _away(1 + numerator / c, tiny)
            step = c * d
            result *= step
        if abs(step - 1) < 1e-15:
            break
    return front * result / a


def _away(value: float, tiny: float) -> float:
    """`value`, kept away from zero."""
    return value if abs(value) > tiny else tiny
