"""Names that a definition refers to are checked when it is written, not when the first run fails."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from spanledger.configuration.models import ModelRegistry
from spanledger.configuration.prompts import Prompts
from spanledger.errors import NotFound, UnknownReference
from spanledger.principal import Principal
from spanledger.store.registry import Registry
from spanledger.workflows import WORKFLOWS, Order
from spanledger.workflows.offline_answers import CHAT_MODELS, FAULT_MODELS

_OFFLINE = "offline/"


class References:
    """Checks names of one registry. `has_provider`: whether a provider is known that a model's name belongs to.

    A provider that is known needs no key here yet, and its model is taken as it is.
    """

    def __init__(self, registry: Registry, has_provider: Callable[[str], bool]) -> None:
        self._registry = registry
        self._has_provider = has_provider

    def check(self, tenant: str, body: Mapping[str, Any]) -> None:
        """Raises UnknownReference for a workflow, prompt, profile or model that is not there, and what the model
        registry raises."""
        self.check_workflow(body.get("workflow") or "")
        if prompt := body.get("prompt"):
            try:
                Prompts(self._registry).get(tenant, prompt)
            except NotFound as exc:
                raise UnknownReference(str(exc)) from exc
        profile = body.get("profile")
        if profile and self._registry.get(tenant, "profile", profile) is None:
            raise UnknownReference(f"there is no profile {profile[:100]!r}")
        self.check_models(tenant, (body.get("model") or "", *(body.get("fallbacks") or ())))

    def check_workflow(self, workflow: str) -> None:
        """Empty: none is named. Raises UnknownReference."""
        if workflow and workflow not in WORKFLOWS:
            raise UnknownReference(f"there is no workflow {workflow[:100]!r}; there are {', '.join(WORKFLOWS)}")

    def check_limit(self, scope: str, match: str, keys: Iterable[str]) -> None:
        """The workflow, or one of the `keys`, that a limit names; a pattern may fit none. Raises UnknownReference."""
        if any(character in match for character in "*?["):
            return
        if scope == "workflow":
            self.check_workflow(match)
        if scope == "key" and match not in keys:
            raise UnknownReference(f"there is no key {match[:100]!r}; GET /v1/keys lists their ids")

    def check_models(self, tenant: str, models: Iterable[str]) -> None:
        """The names of the tenant's model registry, and those behind them. Raises UnknownReference."""
        for model in filter(None, models):
            order = Order(principal=Principal(tenant=tenant), model=model)
            self._check_model(ModelRegistry(self._registry, model).decide(order).model)

    def check_registry(self, body: Mapping[str, Any]) -> None:
        """The models that a model registry leads to. Raises UnknownReference."""
        entries = body["models"].values()
        named = [body["default"], *(name for entry in entries for name in (entry["model"], entry["replaced_by"]))]
        for model in (*named, *(name for entry in entries for name in entry["fallbacks"])):
            if model and model not in body["models"]:
                self._check_model(model)

    def _check_model(self, model: str) -> None:
        if model.startswith(_OFFLINE):
            if model.removeprefix(_OFFLINE) not in (*CHAT_MODELS, *FAULT_MODELS):
                offered = ", ".join(f"{_OFFLINE}{one}" for one in CHAT_MODELS)
                raise UnknownReference(f"there is no model {model[:100]!r}; there are {offered}")
        elif not self._has_provider(model):
            raise UnknownReference(f"there is no provider for model {model[:100]!r}; give it as provider/model")
