"""Agents, experiments, profiles and preferences refuse names that are not there when they are written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanledger import telemetry
from spanledger.configuration import Agents, Experiments, NewAgent, Profiles, Prompts
from spanledger.configuration.references import References
from spanledger.errors import BadRequest, UnknownReference
from spanledger.pricing import load_book
from spanledger.store.registry import Registry
from spanledger.telemetry import GenAI
from spanledger.workflows.litellm_model import LiteLLM
from spanledger.workflows.providers import Providers
from spanledger.workflows.tools import McpServers, Toolbox

EMPTY: dict[str, Any] = {"default": "", "only_registered": False, "models": {}}


@pytest.fixture(scope="module")
def model() -> LiteLLM:
    """Of a service without any provider's key."""
    return LiteLLM(load_book(), providers=Providers(environ={}))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(tmp_path)
    Prompts(opened).put("acme", "greeting", "Hello {{who}}", "", {}, "")
    opened.put("acme", "profile", "brief", {"model": "offline/small"}, "")
    yield opened
    opened.close()


@pytest.fixture
def references(registry: Registry, model: LiteLLM) -> References:
    off = telemetry.off()
    toolbox = Toolbox(off, GenAI(off), None, McpServers(registry, off))
    return References(registry, model.has_provider, toolbox)


def experiment(**overrides: Any) -> dict[str, Any]:
    variants = [{"name": "a", "weight": 1, "overrides": {}}, {"name": "b", "weight": 1, "overrides": overrides}]
    return {"description": "", "workflow": "", "status": "draft", "starts_at": None, "ends_at": None,
            "variants": variants}  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "gone"},
        {"prompt": "greeting@7"},
        {"profile": "gone"},
        {"model": "offline/gone"},
        {"fallbacks": ["offline/small", "offline/gone"]},
        {"model": "nobody/small"},
        {"model": "small"},
        {"fallbacks": ["offline/small", "nobody/small"]},
        {"workflow": "gone"},
    ],
)
@pytest.mark.parametrize("tenant", ["acme", "other"])
def test_a_name_that_is_not_there_is_refused(
    registry: Registry, references: References, tenant: str, body: dict[str, Any]
) -> None:
    for write in (
        lambda: Agents(registry, references).put(tenant, "helper", NewAgent(**body), ""),
        lambda: Experiments(registry, references).put(tenant, "test", experiment(**body), ""),
        lambda: Profiles(registry, references).put(tenant, "mine", body, ""),
        lambda: Profiles(registry, references).put_preferences(tenant, "ann", body, ""),
    ):
        with pytest.raises((UnknownReference, ValueError), match=r"there is no|has no version"):
            write()


def test_names_that_are_there_are_taken(registry: Registry, references: References) -> None:
    body: dict[str, Any] = {"prompt": "greeting@1", "profile": "brief", "model": "openai/gpt-9", "fallbacks": []}
    assert Agents(registry, references).put("acme", "helper", NewAgent(**body), "").version == 1
    Experiments(registry, references).put("acme", "test", experiment(prompt="greeting"), "")
    with pytest.raises(UnknownReference):
        Agents(registry, references).put("other", "helper", NewAgent(prompt="greeting"), "")


@pytest.mark.parametrize("name", ["openai/gpt-9", "gpt-4o-mini", "ollama/any", "bedrock/a.b", "groq/x", "deepinfra/x"])
def test_a_provider_that_is_known_needs_no_key_to_be_named(references: References, name: str) -> None:
    references.check_models("acme", [name])


def test_a_name_of_the_tenants_own_registry_is_there(registry: Registry, references: References) -> None:
    entry = {"model": "offline/small", "state": "enabled", "replaced_by": "", "parameters": {}, "fallbacks": []}
    registry.put("acme", "model-registry", "models", {**EMPTY, "models": {"fast": entry}}, "")
    references.check_models("acme", ["fast"])
    with pytest.raises(UnknownReference):
        references.check_models("other", ["fast"])


@pytest.mark.parametrize(
    "entry",
    [
        {"model": "nobody/small"},
        {"model": "offline/small", "fallbacks": ["nobody/small"]},
        {"model": "offline/small", "state": "retired", "replaced_by": "nobody/small"},
    ],
)
def test_a_model_registry_leads_to_models_that_are_there(references: References, entry: dict[str, Any]) -> None:
    whole = {"state": "enabled", "replaced_by": "", "parameters": {}, "fallbacks": [], **entry}
    with pytest.raises(UnknownReference, match="nobody/small"):
        references.check_registry({**EMPTY, "models": {"fast": whole}})


def test_a_default_of_the_model_registry_is_there(references: References) -> None:
    with pytest.raises(UnknownReference):
        references.check_registry({**EMPTY, "default": "nobody/small"})
    whole = {"model": "offline/small", "state": "enabled", "replaced_by": "", "parameters": {}, "fallbacks": []}
    references.check_registry({**EMPTY, "default": "fast", "models": {"fast": whole}})


@pytest.mark.parametrize(("scope", "match"), [("workflow", "gone"), ("key", "gone")])
def test_a_limit_names_what_is_there(references: References, scope: str, match: str) -> None:
    with pytest.raises(UnknownReference, match="gone"):
        references.check_limit(scope, match, ["k1"])
    for fine in (("workflow", "rag"), ("workflow", "g*"), ("key", "k1"), ("key", "k*"), ("user", match)):
        references.check_limit(*fine, ["k1"])


def test_an_evaluators_model_and_workflow_are_there(references: References) -> None:
    for body in ({"workflow": "gone", "model": None}, {"workflow": "", "model": "nobody/small"}):
        with pytest.raises(UnknownReference):
            references.check("acme", body)


def test_a_label_is_no_version(registry: Registry) -> None:
    prompts = Prompts(registry)
    for label in ("1", "07", "latest"):
        with pytest.raises(BadRequest, match="would hide a version"):
            prompts.label("acme", "greeting", label, 1, "")
    assert prompts.label("acme", "greeting", "beta", 1, "").labels == ("beta",)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"prompt": "gone"}, "there is no prompt 'gone'; there are greeting"),
        ({"profile": "gone"}, "there is no profile 'gone'; there are brief"),
        ({"tools": ["clock", "gone"]}, "there is no tool 'gone'; there are calculator, convert_units, clock, files.*"),
        ({"tools": ["gone.*"]}, "there is no tool 'gone.*'; there are calculator, convert_units, clock, files.*"),
    ],
)
def test_who_names_what_is_not_there_is_told_what_is(
    registry: Registry, references: References, body: dict[str, Any], says: str
) -> None:
    registry.put("acme", "mcp_server", "files", {"url": "http://127.0.0.1:9"}, "")
    references.check("acme", {"tools": ["files.*", "files.read", "clock"]})
    with pytest.raises(UnknownReference) as refused:
        references.check("acme", body)
    assert str(refused.value) == says
    with pytest.raises(UnknownReference, match=r"; there is none$|; there are calculator, convert_units, clock$"):
        references.check("other", body)


def test_of_many_names_some_are_told(registry: Registry, references: References) -> None:
    for number in range(30):
        registry.put("acme", "evaluator", f"e{number:02}", {}, "")
    with pytest.raises(UnknownReference, match=r"no evaluator 'gone'; there are e00, e01, .*e19 and 10 more$"):
        references.check_named("acme", "evaluator", ["e03", "gone"])
