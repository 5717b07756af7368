"""Versions of a prompt compared: cost, latency, failures, feedback and evaluations."""

from dataclasses import dataclass

from spanledger.stats import arms
from spanledger.stats.arms import EvaluationScore
from spanledger.stats.fields import Money
from spanledger.stats.significance import Interval
from spanledger.stats.times import Window
from spanledger.store.client import Store


@dataclass(frozen=True)
class VersionEffect:
    """One version. `cost_per_run_usd`, `latency_ms`, `tokens_per_run` and `feedback` (0 bad to 1 good) are means over
    users with their 95 % intervals; `total_cost_usd` is exact, `priced` says whether every call had a price."""

    version: str
    users: int
    runs: int
    failures: int
    failure_share: float
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


@dataclass(frozen=True)
class Effectiveness:
    """Newest version first; only versions that were used."""

    prompt: str
    versions: list[VersionEffect]


def effectiveness(store: Store, tenant: str, prompt: str, window: Window) -> Effectiveness:
    """What the runs with `prompt` in `window` came to, by version."""
    scored = arms.scores(store, tenant, "prompt", prompt, window)
    used = arms.arms(store, tenant, "prompt", prompt, window)
    found = [VersionEffect(version=arm.name, **arms.figures(arm, scored.get(arm.name, []))) for arm in used]
    return Effectiveness(prompt, sorted(found, key=lambda v: (len(v.version), v.version), reverse=True))
