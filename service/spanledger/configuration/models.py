"""Names for models: what an alias stands for, which models are retired, and which one answers by default."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spanledger.errors import BadRequest
from spanledger.store.registry import Registry
from spanledger.workflows.model import UnknownModel
from spanledger.workflows.run import Order

KIND, NAME = "model-registry", "models"
_MAX_HOPS = 8  # from one name to the next
EMPTY: Mapping[str, Any] = {"default": "", "only_registered": False, "models": {}}


class RetiredModel(BadRequest):
    title = "Model retired"
    status = 422
    error_type = "model_retired"


class ModelRegistry:
    """One document per tenant. Prices are not here: they come from the price book, by LiteLLM's name."""

    def __init__(self, registry: Registry, default_model: str) -> None:
        self._registry = registry
        self._default_model = default_model

    def get(self, tenant: str) -> tuple[int, Mapping[str, Any]]:
        """Its version, 0 if there is none yet, and its body."""
        entry = self._registry.get(tenant, KIND, NAME)
        return (0, EMPTY) if entry is None else (entry.version, entry.body)

    def put(self, tenant: str, body: Mapping[str, Any], by: str) -> int:
        """Its new version. Raises BadRequest for names that lead in a circle."""
        for name in (*body["models"], body["default"]):
            if name:
                _resolved(body, name, refuse=False)
        return self._registry.put(tenant, KIND, NAME, body, by).version

    def enabled(self, tenant: str) -> list[str]:
        """The names that can be requested, in their order."""
        return [name for name, entry in self.get(tenant)[1]["models"].items() if entry["state"] == "enabled"]

    def decide(self, order: Order) -> Order:
        """The step, after all others: real names in place of aliases. Raises RetiredModel, UnknownModel."""
        _, body = self.get(order.principal.tenant)
        if not body["models"] and not body["default"] and not body["only_registered"]:
            return order
        model, entry = _resolved(body, order.model or body["default"] or self._default_model)
        named = [_resolved(body, name)[0] for name in (*order.fallbacks, *entry.get("fallbacks", ()))]
        return replace(
            order,
            model=model,
            fallbacks=tuple(dict.fromkeys(name for name in named if name != model)),
            parameters={**entry.get("parameters", {}), **order.parameters},
        )


def _resolved(body: Mapping[str, Any], requested: str, refuse: bool = True) -> tuple[str, Mapping[str, Any]]:
    """LiteLLM's name and the entry that defines it. Raises RetiredModel, UnknownModel, BadRequest."""
    name = requested
    entry: Mapping[str, Any] = {}
    for _ in range(_MAX_HOPS):
        found = body["models"].get(name)
        if found is None:
            if refuse and not entry and body["only_registered"]:
                raise UnknownModel(
                    f"model {requested[:200]!r} is not in the model registry, and only those may be used"
                )
            return name, entry
        if found["state"] == "retired" and not found["replaced_by"]:
            if refuse:
                raise RetiredModel(f"model {name[:200]!r} is retired")
            return name, found
        entry = found
        target = found["replaced_by"] if found["state"] == "retired" else found["model"]
        if target == name:
            return name, entry
        name = target
    raise BadRequest(f"the names that follow {requested[:200]!r} lead in a circle, or too far")
