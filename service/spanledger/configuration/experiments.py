"""Experiments by name, and the step that puts a run into one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from spanledger.configuration.assignment import Variant, assigned
from spanledger.configuration.references import References
from spanledger.errors import BadRequest, NotFound
from spanledger.store.registry import Entry, Registry
from spanledger.workflows.run import Order

KIND = "experiment"


class UnusableExperiment(BadRequest):
    title = "Unusable experiment"
    status = 422
    error_type = "unusable_experiment"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One version. `workflow` empty: runs of every workflow; the first variant is what the others are compared with."""

    name: str
    version: int
    description: str
    workflow: str
    status: str  # draft | running | paused | ended
    starts_at: datetime | None
    ends_at: datetime | None
    salt: str
    variants: tuple[Variant, ...]
    created_at: datetime
    created_by: str

    def active(self, now: datetime) -> bool:
        """Whether it takes runs in."""
        begun = self.starts_at is None or self.starts_at <= now
        return self.status == "running" and begun and (self.ends_at is None or now < self.ends_at)

    def takes(self, order: Order) -> bool:
        """Whether the order leaves open all that any variant decides. A run whose caller or agent decided one of these
        things is no part of the experiment, whatever variant it would have got: else the variants' runs would differ by
        more than the variant."""
        if self.workflow and self.workflow != (order.workflow or "chat"):
            return False
        return all(_leaves_open(order, variant.overrides) for variant in self.variants)


class Experiments:
    """The experiments of all tenants."""

    def __init__(self, registry: Registry, references: References) -> None:
        self._registry = registry
        self._references = references

    def put(self, tenant: str, name: str, body: Mapping[str, Any], by: str) -> Experiment:
        """A new version. Raises UnusableExperiment, UnknownReference."""
        _check(body)
        self._references.check_workflow(body["workflow"])
        for variant in body["variants"]:
            self._references.check(tenant, variant["overrides"])
        return _experiment(self._registry.put(tenant, KIND, name, {"salt": name, **body}, by))

    def get(self, tenant: str, name: str) -> Experiment:
        """Raises NotFound."""
        entry = self._registry.get(tenant, KIND, name)
        if entry is None:
            raise NotFound(f"there is no experiment {name[:100]!r}")
        return _experiment(entry)

    def listed(self, tenant: str) -> list[Experiment]:
        """All, by name."""
        return [_experiment(entry) for entry in self._registry.names(tenant, KIND)]

    def page(self, tenant: str, after: str, limit: int) -> tuple[list[Experiment], bool]:
        """By name, from behind `after` on; whether there are more."""
        found, more = self._registry.page(tenant, KIND, after, limit)
        return [_experiment(entry) for entry in found], more

    def versions(self, tenant: str, name: str) -> list[Experiment]:
        """All versions, newest first."""
        return [_experiment(entry) for entry in self._registry.history(tenant, KIND, name) if not entry.removed]

    def remove(self, tenant: str, name: str, by: str) -> None:
        """Raises NotFound."""
        if not self._registry.remove(tenant, KIND, name, by):
            raise NotFound(f"there is no experiment {name[:100]!r}")

    def decide(self, order: Order) -> Order:
        """The step. A run is in one experiment at most: the first by name that is active and takes it."""
        unit = order.user_id or order.conversation_id
        if not unit or not order.for_people:
            return order
        now = datetime.now(UTC)
        for experiment in self.listed(order.principal.tenant):
            if experiment.active(now) and experiment.takes(order):
                variant = assigned(experiment.salt, experiment.variants, unit)
                order = replace(order, experiment=experiment.name, variant=variant.name)
                return order.completed(**variant.overrides)
        return order


def _leaves_open(order: Order, overrides: Mapping[str, Any]) -> bool:
    for name in overrides:
        if name == "prompt" and (order.prompt or order.instructions):
            return False
        if name == "parameters" and not order.parameters.keys().isdisjoint(overrides[name]):
            return False
        if name != "parameters" and getattr(order, name):
            return False
    return True


def _check(body: Mapping[str, Any]) -> None:
    variants = body["variants"]
    names = [variant["name"] for variant in variants]
    if len(set(names)) != len(names):
        raise UnusableExperiment("two variants have the same name")
    weights = [variant["weight"] for variant in variants]
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise UnusableExperiment("weights are numbers from 0 up")
    if not sum(weights) > 0:
        raise UnusableExperiment("the weights sum to zero, so nobody could get a variant")
    starts_at, ends_at = _time(body.get("starts_at")), _time(body.get("ends_at"))
    if starts_at is not None and ends_at is not None and starts_at >= ends_at:
        raise UnusableExperiment("it would end before it starts")


def _time(text: str | None) -> datetime | None:
    return None if not text else datetime.fromisoformat(text)


def _experiment(entry: Entry) -> Experiment:
    body = entry.body
    return Experiment(
        name=entry.name,
        version=entry.version,
        description=body["description"],
        workflow=body["workflow"],
        status=body["status"],
        starts_at=_time(body["starts_at"]),
        ends_at=_time(body["ends_at"]),
        salt=body["salt"],
        variants=tuple(Variant(v["name"], v["weight"], v["overrides"]) for v in body["variants"]),
        created_at=entry.created_at,
        created_by=entry.created_by,
    )
