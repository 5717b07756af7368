"""Names that a definition refers to are checked when it is written, not when the first run fails."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, get_args

from spanledger.configuration.models import ModelRegistry
from spanledger.configuration.prompts import Prompts
from spanledger.errors import NotFound, UnknownReference
from spanledger.principal import DEFAULT_TENANT, Principal, Role
from spanledger.store.registry import Registry
from spanledger.workflows import WORKFLOWS, Order
from spanledger.workflows.offline_answers import CHAT_MODELS, FAULT_MODELS
from spanledger.workflows.tools import Grant

_OFFLINE = "offline/"
_LISTED = 20  # names that an error lists


class Tools(Protocol):
    """The tools that a tenant may name: those here, and those of its servers, whether they answer now or not."""

    def has_tool(self, tenant: str, name: str) -> bool: ...

    def names(self, tenant: str) -> list[str]: ...


class References:
    """Checks names of one registry. `has_provider`: whether a provider is known that a model's name belongs to.

    A provider that is known needs no key here yet, and its model is taken as it is.
    """

    def __init__(self, registry: Registry, has_provider: Callable[[str], bool], tools: Tools) -> None:
        self._registry = registry
        self._has_provider = has_provider
        self._tools = tools

    def check(self, tenant: str, body: Mapping[str, Any]) -> None:
        """Raises UnknownReference for a workflow, prompt, profile, tool or model that is not there, and what the model
        registry raises."""
        self.check_workflow(body.get("workflow") or "")
        if prompt := body.get("prompt"):
            try:
                Prompts(self._registry).get(tenant, prompt)
            except NotFound as exc:
                raise UnknownReference(f"{exc}; {_those(self._names(tenant, 'prompt'))}") from exc
        self.check_named(tenant, "profile", filter(None, [body.get("profile")]))
        self.check_tools(tenant, body.get("tools") or ())
        self.check_models(tenant, (body.get("model") or "", *(body.get("fallbacks") or ())))

    def check_named(self, tenant: str, kind: str, names: Iterable[str]) -> None:
        """Each is the name of an entry of the registry. Raises UnknownReference."""
        for name in names:
            if self._registry.get(tenant, kind, name) is None:
                raise UnknownReference(f"there is no {kind} {name[:100]!r}; {_those(self._names(tenant, kind))}")

    def check_tools(self, tenant: str, names: Iterable[str]) -> None:
        """`server.*` are all of a server. Raises UnknownReference."""
        for name in names:
            if not self._tools.has_tool(tenant, name):
                raise UnknownReference(f"there is no tool {name[:100]!r}; {_those(self._tools.names(tenant))}")

    def check_grant(self, tenant: str, name: str, grant: Grant) -> None:
        """The tool or tools of a grant, and the roles in it. Raises UnknownReference."""
        for role in (*grant.deny.roles, *(grant.allow.roles if grant.allow is not None else ())):
            if role not in get_args(Role):
                raise UnknownReference(f"there is no role {role[:100]!r}; {_those(get_args(Role))}")
        others = grant.deny.tenants or (grant.allow is not None and grant.allow.tenants)
        if tenant == DEFAULT_TENANT and others and "." in name:
            return  # it is for them, and may be of a server that only they have
        self.check_tools(tenant, [name] if name != "*" else [])

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

    def _names(self, tenant: str, kind: str) -> list[str]:
        return [entry.name for entry in self._registry.names(tenant, kind)]

    def _check_model(self, model: str) -> None:
        if model.startswith(_OFFLINE):
            if model.removeprefix(_OFFLINE) not in (*CHAT_MODELS, *FAULT_MODELS):
                offered = ", ".join(f"{_OFFLINE}{one}" for one in CHAT_MODELS)
                raise UnknownReference(f"there is no model {model[:100]!r}; there are {offered}")
        elif not self._has_provider(model):
            raise UnknownReference(f"there is no provider for model {model[:100]!r}; give it as provider/model")


def _those(names: Sequence[str]) -> str:
    """The names that there are, as a part of a sentence."""
    if not names:
        return "there is none"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"there are {', '.join(names[:_LISTED])}{more}"
