"""Results of an experiment: the figures of each variant, compared with the first one."""

from collections.abc import Mapping
from dataclasses import dataclass

from spanledger.stats import arms
from spanledger.stats.arms import Arm, EvaluationScore
from spanledger.stats.fields import Money
from spanledger.stats.significance import Comparison, Interval, goodness_of_fit, two_proportions, welch
from spanledger.stats.times import Window
from spanledger.store import queries
from spanledger.store.client import Store

SUSPICIOUS = 0.001  # of a sample ratio: below this p-value the split itself is broken


@dataclass(frozen=True)
class VariantResult:
    """Means are over users, with their 95 % intervals. `against_baseline`: metric → difference to the first variant
    with interval and p-value (Welch's t; `failed_users`: two-proportion z); empty for the first variant itself."""

    variant: str
    weight: float | None
    users: int
    runs: int
    failures: int
    failure_share: float
    llm_calls: int
    input_tokens: int
    output_tokens: int
    total_cost_usd: Money
    priced: bool
    cost_per_run_usd: Interval
    latency_ms: Interval
    latency_p50_ms: float
    latency_p95_ms: float
    tokens_per_run: Interval
    rated_runs: int
    feedback: Interval
    evaluations: list[EvaluationScore]
    against_baseline: dict[str, Comparison]


@dataclass(frozen=True)
class SampleRatio:
    """Whether users came into the variants as the weights say. `p_value` is None when the weights changed meanwhile, or
    when there is nothing to compare; `suspicious`: the assignment of variants is not random."""

    expected: dict[str, float]
    observed: dict[str, int]
    p_value: float | None
    suspicious: bool


@dataclass(frozen=True)
class ExperimentResults:
    """`users_in_several_variants`: users that a change of weights moved; they count in each."""

    experiment: str
    baseline: str
    variants: list[VariantResult]
    sample_ratio: SampleRatio
    users_in_several_variants: int


def results(
    store: Store, tenant: str, experiment: str, weights: Mapping[str, float], steady: bool, window: Window
) -> ExperimentResults:
    """`weights` by variant, the baseline first; `steady`: they never changed. Variants that were taken out of the
    experiment come last, with weight None."""
    found = {arm.name: arm for arm in arms.arms(store, tenant, "variant", experiment, window)}
    scored = arms.scores(store, tenant, "variant", experiment, window)
    names = [*weights, *(name for name in found if name not in weights)]
    baseline = names[0]
    params = {"tenant": tenant, "name": experiment, **window.bounds()}
    return ExperimentResults(
        experiment,
        baseline,
        [
            _result(found.get(name, arms.empty_arm(name)), weights.get(name), found.get(baseline), scored.get(name, []))
            for name in names
        ],
        _sample_ratio(weights, {name: arm.users for name, arm in found.items()}, steady),
        store.scalar(queries.sql("units_in_several_arms"), params),
    )


def _result(arm: Arm, weight: float | None, baseline: Arm | None, scored: list[EvaluationScore]) -> VariantResult:
    return VariantResult(
        variant=arm.name,
        weight=weight,
        llm_calls=arm.llm_calls,
        input_tokens=arm.input_tokens,
        output_tokens=arm.output_tokens,
        against_baseline=_compared(baseline, arm) if baseline is not None and baseline.name != arm.name else {},
        **arms.figures(arm, scored),
    )


def _compared(baseline: Arm, arm: Arm) -> dict[str, Comparison]:
    found = {
        "cost_per_run_usd": welch(baseline.cost_usd, arm.cost_usd),
        "latency_ms": welch(baseline.latency_ms, arm.latency_ms),
        "tokens_per_run": welch(baseline.tokens, arm.tokens),
        "feedback": welch(baseline.feedback, arm.feedback),
        "failed_users": two_proportions(baseline.failed_users, baseline.users, arm.failed_users, arm.users),
    }
    return {metric: comparison for metric, comparison in found.items() if comparison is not None}


def _sample_ratio(weights: Mapping[str, float], observed: Mapping[str, int], steady: bool) -> SampleRatio:
    whole = sum(weights.values())
    expected = {name: weight / whole for name, weight in weights.items()}
    counts = {name: observed.get(name, 0) for name in weights}
    p_value = goodness_of_fit(list(counts.values()), list(weights.values())) if steady else None
    return SampleRatio(expected, counts, p_value, p_value is not None and p_value < SUSPICIOUS)
