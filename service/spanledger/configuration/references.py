"""Names that a definition refers to are checked when it is written, not when the first run fails."""

from collections.abc import Iterator, Mapping
from typing import Any

from spanledger.configuration.models import ModelRegistry
from spanledger.configuration.prompts import Prompts
from spanledger.errors import BadRequest, NotFound
from spanledger.principal import Principal
from spanledger.store.registry import Registry
from spanledger.workflows.offline_answers import CHAT_MODELS, FAULT_MODELS
from spanledger.workflows.run import Order

_OFFLINE = "offline/"


class UnknownReference(BadRequest):
    title = "Unknown reference"
    status = 422
    error_type = "unknown_reference"


def check(registry: Registry, tenant: str, body: Mapping[str, Any]) -> None:
    """Raises UnknownReference for a prompt, profile or model that is not there, and what the model registry raises.

    A model of a provider that only LiteLLM knows is taken as it is.
    """
    if prompt := body.get("prompt"):
        try:
            Prompts(registry).get(tenant, prompt)
        except NotFound as exc:
            raise UnknownReference(str(exc)) from exc
    profile = body.get("profile")
    if profile and registry.get(tenant, "profile", profile) is None:
        raise UnknownReference(f"there is no profile {profile[:100]!r}")
    for model in _models(body):
        _check_model(registry, tenant, model)


def _models(body: Mapping[str, Any]) -> Iterator[str]:
    yield from filter(None, (body.get("model"), *(body.get("fallbacks") or ())))


def _check_model(registry: Registry, tenant: str, model: str) -> None:
    order = Order(principal=Principal(tenant=tenant), model=model)
    resolved = ModelRegistry(registry, model).decide(order).model
    name = resolved.removeprefix(_OFFLINE)
    if resolved.startswith(_OFFLINE) and name not in (*CHAT_MODELS, *FAULT_MODELS):
        offered = ", ".join(f"{_OFFLINE}{one}" for one in CHAT_MODELS)
        raise UnknownReference(f"there is no model {resolved[:100]!r}; there are {offered}")
