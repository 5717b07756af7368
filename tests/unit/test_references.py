"""Agents, experiments, profiles and preferences refuse names that are not there when they are written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanledger.configuration import Agents, Experiments, NewAgent, Profiles, Prompts
from spanledger.configuration.references import UnknownReference
from spanledger.errors import BadRequest
from spanledger.store.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(tmp_path)
    Prompts(opened).put("acme", "greeting", "Hello {{who}}", "", {}, "")
    Profiles(opened).put("acme", "brief", {"model": "offline/small"}, "")
    yield opened
    opened.close()


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
    ],
)
@pytest.mark.parametrize("tenant", ["acme", "other"])
def test_a_name_that_is_not_there_is_refused(registry: Registry, tenant: str, body: dict[str, Any]) -> None:
    for write in (
        lambda: Agents(registry).put(tenant, "helper", NewAgent(**body), ""),
        lambda: Experiments(registry).put(tenant, "test", experiment(**body), ""),
        lambda: Profiles(registry).put(tenant, "mine", body, ""),
        lambda: Profiles(registry).put_preferences(tenant, "ann", body, ""),
    ):
        with pytest.raises((UnknownReference, BadRequest), match=r"there is no|has no version"):
            write()


def test_names_that_are_there_are_taken(registry: Registry) -> None:
    body: dict[str, Any] = {"prompt": "greeting@1", "profile": "brief", "model": "openai/gpt-9", "fallbacks": []}
    assert Agents(registry).put("acme", "helper", NewAgent(**body), "").version == 1
    Experiments(registry).put("acme", "test", experiment(prompt="greeting"), "")
    with pytest.raises(UnknownReference):
        Agents(registry).put("other", "helper", NewAgent(prompt="greeting"), "")
