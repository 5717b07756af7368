"""Evaluators by name: what they look at, and their runs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as otel
from opentelemetry import trace

from spanledger.access import DEFAULT_TENANT, Principal
from spanledger.configuration.references import References
from spanledger.errors import NotFound
from spanledger.evaluations import rules
from spanledger.evaluations.judge import WORKFLOW, judge
from spanledger.evaluations.verdict import Exchange, Verdict
from spanledger.store.registry import Entry, Registry
from spanledger.telemetry import GenAI, Telemetry, ids
from spanledger.telemetry.evaluation import About, Evaluation, record
from spanledger.workflows import Runner

KIND = "evaluator"
JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Evaluator:
    """`sample_rate`: the share of runs of `workflow` (empty: of all) that it judges by itself, 0 to 1."""

    name: str
    version: int
    kind: str  # judge | contains | regex | length | json
    settings: Mapping[str, Any]
    workflow: str
    sample_rate: float
    description: str


class Evaluators:
    """The evaluators of all tenants. Every verdict is an event in the trace of the message it is about."""

    def __init__(self, registry: Registry, references: References, telemetry: Telemetry, genai: GenAI) -> None:
        self._registry = registry
        self._references = references
        self._telemetry = telemetry
        self._genai = genai

    def put(self, tenant: str, name: str, body: Mapping[str, Any], by: str) -> Evaluator:
        """A new version. Raises BadRule, UnknownReference."""
        rules.check(body["kind"], body["settings"])
        self._references.check(tenant, {"workflow": body["workflow"], "model": body["settings"].get("model")})
        return _evaluator(self._registry.put(tenant, KIND, name, body, by))

    def get(self, tenant: str, name: str) -> Evaluator:
        """Raises NotFound."""
        entry = self._registry.get(tenant, KIND, name)
        if entry is None:
            raise NotFound(f"there is no evaluator {name[:100]!r}")
        return _evaluator(entry)

    def listed(self, tenant: str) -> list[Evaluator]:
        """All, by name."""
        return [_evaluator(entry) for entry in self._registry.names(tenant, KIND)]

    def page(self, tenant: str, after: str, limit: int) -> tuple[list[Evaluator], bool]:
        """By name, from behind `after` on; whether there are more."""
        found, more = self._registry.page(tenant, KIND, after, limit)
        return [_evaluator(entry) for entry in found], more

    def remove(self, tenant: str, name: str, by: str) -> None:
        """Raises NotFound."""
        if not self._registry.remove(tenant, KIND, name, by):
            raise NotFound(f"there is no evaluator {name[:100]!r}")

    async def evaluate(
        self, runner: Runner, principal: Principal, evaluator: Evaluator, exchange: Exchange, about: About
    ) -> Evaluation:
        """Evaluates and records the result. Never raises for the evaluated text or the evaluator."""
        if evaluator.kind == JUDGE:
            verdict, run_trace_id = await judge(runner, principal, evaluator.settings, exchange)
        else:
            verdict, run_trace_id = await self._by_rule(principal, evaluator, exchange)
        evaluation = Evaluation(
            evaluator.name,
            JUDGE if evaluator.kind == JUDGE else "rule",
            verdict.score,
            verdict.label,
            verdict.explanation,
            error_type=verdict.error_type,
            run_trace_id=run_trace_id,
        )
        record(self._telemetry, evaluation, about)
        return evaluation

    async def _by_rule(self, principal: Principal, evaluator: Evaluator, exchange: Exchange) -> tuple[Verdict, str]:
        """A run of its own, like that of a judge, which calls no model."""
        tenant = "" if principal.tenant == DEFAULT_TENANT else principal.tenant
        token = otel.attach(otel.Context())
        try:
            with (
                ids.carry(tenant=tenant, source="evaluation", workflow=WORKFLOW, agent=evaluator.name),
                self._genai.workflow(WORKFLOW) as span,
            ):
                verdict = await asyncio.to_thread(rules.RULES[evaluator.kind], evaluator.settings, exchange)
                context = span.get_span_context()
            return verdict, trace.format_trace_id(context.trace_id) if context.is_valid else ""
        finally:
            otel.detach(token)


def _evaluator(entry: Entry) -> Evaluator:
    body = entry.body
    return Evaluator(
        entry.name,
        entry.version,
        body["kind"],
        body["settings"],
        body["workflow"],
        body["sample_rate"],
        body["description"],
    )
