"""How much of each kind a tenant may have, and lists that come in pages."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from guarded import Caller
from system import System
from tenants import own_tenant, put, refused

OBJECTS, VERSIONS = 100, 5


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("quotas") / "data")
    running.start(SPANLEDGER_TENANT_OBJECTS=str(OBJECTS), SPANLEDGER_OBJECT_VERSIONS=str(VERSIONS))
    yield running
    assert running.stop() == 0


@pytest.fixture
def tenant(small: System) -> Iterator[Caller]:
    with own_tenant(small) as caller:
        yield caller


def problem(tenant: Caller, method: str, path: str, body: Any) -> dict[str, Any]:
    status, answer = tenant.call(method, path, body)
    assert status == 422, answer
    return {name: answer[name] for name in ("title", "quota", "allowed")}


def used_up(quota: str, allowed: int) -> dict[str, Any]:
    return {"title": "Quota used up", "quota": quota, "allowed": allowed}


@pytest.mark.parametrize(
    ("path", "body", "allowed"),
    [
        ("prompts", {"text": "hello"}, OBJECTS),
        ("profiles", {"description": "x"}, OBJECTS),
        ("agents", {"description": "x"}, OBJECTS),
        ("limits", {"scope": "user", "requests_per_minute": 9}, OBJECTS),
        ("experiments", {"variants": [{"name": "a"}, {"name": "b"}]}, 2),
        ("evaluators", {"check": {"kind": "length", "min": 1}}, 2),
        ("mcp-servers", {"url": "http://127.0.0.1:9/mcp"}, 2),
    ],
)
def test_a_tenant_has_so_many_of_a_kind(tenant: Caller, path: str, body: dict[str, Any], allowed: int) -> None:
    for number in range(allowed):
        put(tenant, f"/v1/{path}/n{number}", body)
    assert problem(tenant, "PUT", f"/v1/{path}/more", body) == used_up("tenant_objects", allowed)
    put(tenant, f"/v1/{path}/n0", body)
    assert tenant.call("DELETE", f"/v1/{path}/n1")[0] == 204
    put(tenant, f"/v1/{path}/more", body)


def test_a_prompt_has_so_many_versions(tenant: Caller) -> None:
    for number in range(VERSIONS):
        put(tenant, "/v1/prompts/greet", {"text": f"hello {number}"})
    more = problem(tenant, "PUT", "/v1/prompts/greet", {"text": "one too many"})
    assert more == used_up("object_versions", VERSIONS)
    for number in range(3 * VERSIONS):  # what nobody can read of it makes room
        put(tenant, "/v1/prompts/greet/labels/production", {"version": number % VERSIONS + 1})
    assert tenant.get("prompts", "greet")["text"] == "hello 4"
    assert tenant.call("DELETE", "/v1/prompts/greet")[0] == 204


def test_documents_are_bounded_too(tenant: Caller) -> None:
    for number in range(OBJECTS):
        assert tenant.call("POST", "/v1/documents", {"text": f"text {number}"})[0] == 201
    more = problem(tenant, "POST", "/v1/documents", {"text": "one too many"})
    assert more == used_up("tenant_objects", OBJECTS)
    assert tenant.call("POST", "/v1/documents", {"text": "text 3"})[0] == 200, "it is there already"
    first = tenant.get("documents", limit=1)["items"][0]["document_id"]
    assert tenant.call("DELETE", f"/v1/documents/{first}")[0] == 204
    assert tenant.call("POST", "/v1/documents", {"text": "one too many"})[0] == 201


def test_jobs_that_are_open_are_bounded(tenant: Caller) -> None:
    yearly = {"content": "hello", "schedule": "0 3 1 1 *"}
    made = [tenant.call("POST", "/v1/jobs", yearly) for _ in range(OBJECTS)]
    assert {status for status, _ in made} == {202}
    assert problem(tenant, "POST", "/v1/jobs", {"content": "hello"}) == used_up("tenant_objects", OBJECTS)
    assert tenant.call("DELETE", f"/v1/jobs/{made[0][1]['job_id']}")[0] < 300
    assert tenant.call("POST", "/v1/jobs", yearly)[0] == 202


def pages(tenant: Caller, path: str, limit: int) -> Iterator[list[dict[str, Any]]]:
    """By the links from each to the next."""
    target = f"/v1/{path}?limit={limit}"
    while target:
        status, headers, page = tenant.system.request("GET", target, **tenant.headers)
        assert status == 200, page
        assert (page["next_cursor"] is None) == ("link" not in headers)
        yield page["items"]
        target = headers.get("link", "").partition("<")[2].partition(">")[0]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("prompts", {"text": "hello"}),
        ("profiles", {"description": "x"}),
        ("agents", {"description": "x"}),
        ("tool-grants", {}),
    ],
)
def test_lists_by_name_have_pages(tenant: Caller, path: str, body: dict[str, Any]) -> None:
    if path == "tool-grants":
        names = ["*", "calculator", "clock", "convert_units"]
    else:
        names = sorted(f"name-{number}" for number in range(7))
    for name in reversed(names):
        put(tenant, f"/v1/{path}/{name}", body)
    found = list(pages(tenant, path, 3))
    assert [len(page) for page in found][:-1] == [3] * (len(found) - 1)
    assert [item["name"] for page in found for item in page] == names
    assert [item["name"] for item in tenant.get(path)["items"]] == names
    for cursor in ("x", "W10", "WzFd"):
        assert refused(tenant, "GET", f"/v1/{path}?cursor={cursor}")[0] == 422
    assert refused(tenant, "GET", f"/v1/{path}?limit=0")[0] == 422


def test_versions_of_a_prompt_have_pages(tenant: Caller) -> None:
    for number in range(VERSIONS):
        put(tenant, "/v1/prompts/greet", {"text": f"hello {number}"})
    found = list(pages(tenant, "prompts/greet/versions", 2))
    assert [[item["version"] for item in page] for page in found] == [[5, 4], [3, 2], [1]]
    assert refused(tenant, "GET", "/v1/prompts/never/versions")[0] == 404


def test_a_name_of_any_letters_is_a_place_between_pages(tenant: Caller) -> None:
    names = sorted("🦜" * length for length in (254, 255, 256))
    for name in names:
        put(tenant, f"/v1/agents/{quote(name)}", {"description": "x"})
    assert [item["name"] for page in pages(tenant, "agents", 1) for item in page] == names
