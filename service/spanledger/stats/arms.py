"""Figures of the arms of a comparison: variants of an experiment, or versions of a prompt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spanledger.stats.significance import Interval, Sample, interval
from spanledger.stats.times import Window, milliseconds
from spanledger.stats.usage import decimal_text
from spanledger.store import queries
from spanledger.store.client import Store

By = Literal["variant", "prompt"]


@dataclass(frozen=True)
class EvaluationScore:
    """What one evaluator thought: `scored` messages, of which the mean; `failed`: it came to no verdict."""

    evaluation: str
    evaluator: str
    failed: int
    score: Interval


@dataclass(frozen=True)
class Arm:
    """`users`: users, or conversations where no user is known. Means are per user, of the mean of their runs:
    `cost_usd`, `latency_ms` and `tokens` per run, `feedback` 0 (bad) to 1 (good). `total_cost_usd` is exact."""

    name: str
    users: int
    runs: int
    failures: int
    failed_users: int
    llm_calls: int
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    total_cost_usd: str
    latency_p50_ms: float
    latency_p95_ms: float
    rated_runs: int
    cost_usd: Sample
    latency_ms: Sample
    tokens: Sample
    feedback: Sample

    @property
    def failure_share(self) -> float:
        return self.failures / self.runs if self.runs else 0.0


def arms(store: Store, tenant: str, by: By, name: str, window: Window) -> list[Arm]:
    """The arms that have runs in `window`, by name."""
    rows = store.dicts(queries.sql("runs_by_arm"), {"tenant": tenant, "by": by, "name": name, **window.bounds()})
    return [_arm(row) for row in rows]


def scores(store: Store, tenant: str, by: By, name: str, window: Window) -> dict[str, list[EvaluationScore]]:
    """What evaluators thought, by arm."""
    found: dict[str, list[EvaluationScore]] = {}
    params = {"tenant": tenant, "by": by, "name": name, **window.bounds()}
    for row in store.dicts(queries.sql("scores_by_arm"), params):
        sample = _sample(row["scored"], row["mean"], row["variance"])
        score = EvaluationScore(row["evaluation"], row["evaluator"], row["failed"], interval(sample))
        found.setdefault(row["arm"], []).append(score)
    return found


def figures(arm: Arm, scored: list[EvaluationScore]) -> dict[str, Any]:
    """What versions and variants say alike, by the names of their fields."""
    return {
        "users": arm.users,
        "runs": arm.runs,
        "failures": arm.failures,
        "failure_share": arm.failure_share,
        "total_cost_usd": arm.total_cost_usd,
        "priced": arm.unpriced_calls == 0,
        "cost_per_run_usd": interval(arm.cost_usd),
        "latency_ms": interval(arm.latency_ms),
        "latency_p50_ms": arm.latency_p50_ms,
        "latency_p95_ms": arm.latency_p95_ms,
        "tokens_per_run": interval(arm.tokens),
        "rated_runs": arm.rated_runs,
        "feedback": interval(arm.feedback),
        "evaluations": scored,
    }


def _arm(row: Mapping[str, Any]) -> Arm:
    units = row["units"]
    p50, p95 = (milliseconds(int(ns)) for ns in row["latency_ns"])
    return Arm(
        name=row["arm"],
        users=units,
        runs=row["runs"],
        failures=row["failures"],
        failed_users=row["failed_units"],
        llm_calls=row["llm_calls"],
        unpriced_calls=row["unpriced_calls"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        total_cost_usd=decimal_text(row["cost_usd"]),
        latency_p50_ms=p50,
        latency_p95_ms=p95,
        rated_runs=row["rated_runs"],
        cost_usd=_sample(units, row["cost_mean"], row["cost_variance"]),
        latency_ms=_sample(units, row["latency_mean"] / 1e6, row["latency_variance"] / 1e12),
        tokens=_sample(units, row["tokens_mean"], row["tokens_variance"]),
        feedback=_sample(row["feedback_units"], row["feedback_mean"], row["feedback_variance"]),
    )


def _sample(count: int, mean: float, variance: float) -> Sample:
    """ClickHouse says NaN for the mean of nothing and the variance of one."""
    return Sample(count, mean if count else 0.0, max(variance, 0.0) if count > 1 else 0.0)


def empty_arm(name: str) -> Arm:
    """An arm without runs."""
    nothing = Sample(0, 0.0, 0.0)
    return Arm(name, 0, 0, 0, 0, 0, 0, 0, 0, "0", 0.0, 0.0, 0, nothing, nothing, nothing, nothing)
