"""Agents, experiments and evaluators as the API knows them, and trends, ratings and the state of the books."""

import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from guarded import Caller
from otlp_make import trace_request
from system import System
from tenants import ask, own_tenant, put
from visitor import Visitor, asked

_PACKING = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.usage.output_tokens": 2,
    "gen_ai.workflow.name": "packing",
    "gen_ai.conversation.id": "packing",
}


@pytest.fixture(scope="module")
def lab(system: System) -> Iterator[Caller]:
    """A tenant with an experiment whose users came into both variants."""
    with own_tenant(system) as caller:
        variants = [{"name": "as-it-is"}, {"name": "small", "model": "offline/small"}]
        put(
            caller,
            "/v1/experiments/tone",
            {"status": "running", "description": "<i>is it cheaper</i>", "variants": variants},
        )
        put(caller, "/v1/agents/clerk", {"workflow": "assistant", "instructions": "<script>alert(1)</script>"})
        put(caller, "/v1/evaluators/short", {"check": {"kind": "length", "unit": "words", "max": 50}})
        for number in range(12):
            ask(caller, f"talk-{number}", user_id=f"user-{number}")
        caller.flush()
        yield caller


def test_an_experiment_shows_its_results_and_how_sure_they_are(lab: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(lab)
    page = visitor.see("/catalogue")
    page.locator("#experiments").get_by_role("link", name="tone").click()
    page.wait_for_url("**/catalogue/experiments/tone*")
    results = lab.get("experiments", "tone", "results")
    for one in results["variants"]:
        row = visitor.row(one["variant"])
        assert {name: str(one[name]) for name in ("users", "runs", "failures", "total_cost_usd")}.items() <= row.items()
    assert sum(one["runs"] for one in results["variants"]) == 12
    compared = results["variants"][1]["against_baseline"]["latency_ms"]
    row = visitor.row(f"{results['variants'][1]['variant']}/latency_ms")
    assert float(row["p_value"]) == pytest.approx(compared["p_value"], rel=1e-9)  # sums of floats in another order
    assert page.locator("i").count() == 0


def test_agents_are_shown_with_what_they_did(lab: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(lab)
    page = visitor.see("/catalogue")
    assert visitor.row("clerk")["version"] == "1"
    page.locator("#agents").get_by_role("link", name="clerk").click()
    page.wait_for_url("**/catalogue/agents/clerk*")
    assert "<script>alert(1)</script>" in page.locator("pre").first.text_content()
    assert visitor.see("/catalogue#evaluators").locator("#evaluators [data-id=short]").count() == 1


def test_a_workflow_of_two_services_leads_to_the_messages_of_each(lab: Caller, visit: Callable[..., Visitor]) -> None:
    runs = {"shop": 2, "office": 3}
    for service, count in runs.items():
        for _ in range(count):
            span = {"name": "chat gpt-4o", "attributes": _PACKING}
            assert lab.send(trace_request(span, resource={"service.name": service}).SerializeToString()) == 200
    lab.flush()
    page = visit(lab).see("/catalogue")
    rows = page.locator("tr[data-id=packing]")
    found = {}
    for number in range(rows.count()):
        told = rows.nth(number).locator("[data-figure=runs]")
        asked_for = asked(told.locator("xpath=ancestor-or-self::a").get_attribute("href"))
        assert asked_for.pop("range") == "7d"
        assert len(lab.get("messages", **asked_for)["items"]) == int(told.get_attribute("data-value"))
        found[asked_for["service"]] = int(told.get_attribute("data-value"))
    assert found == runs


def test_users_have_a_trend_whose_sum_is_their_cost(lab: Caller, visit: Callable[..., Visitor]) -> None:
    listed = lab.get("users", trend="true")["items"]
    for one in listed:
        assert sum(Decimal(day["cost_usd"]) for day in one["trend"]) == Decimal(one["usage"]["cost_usd"])
    assert lab.get("users")["items"][0]["trend"] is None
    page = visit(lab).see("/users?range=all")
    assert page.locator("tr[data-id] svg.spark").count() == len(listed)


def test_messages_show_how_they_were_rated(lab: Caller, visit: Callable[..., Visitor]) -> None:
    message = lab.get("messages", limit=1)["items"][0]["message_id"]
    assert lab.get("messages", ratings="true")["ratings"] == {}
    status, _ = lab.call("POST", f"/v1/messages/{message}/feedback", {"rating": -1})
    assert status == 202
    lab.flush()
    assert lab.get("messages", ratings="true")["ratings"] == {message: {"positive": 0, "negative": 1}}
    visitor = visit(lab)
    visitor.see("/messages?range=all")
    assert visitor.row(message)["negative"] == "1"


def test_the_head_of_every_page_says_the_state_of_the_books(lab: Caller, visit: Callable[..., Visitor]) -> None:
    page = visit(lab).see("/books?audit=1")
    page.wait_for_selector("#audit-report .books.good")
    page.reload()
    page.wait_for_selector("header .state >> text=balanced")


def test_an_audit_under_way_says_how_far_it_is(system: System, lab: Caller, visit: Callable[..., Visitor]) -> None:
    status, started = lab.call("GET", "/v1/audit?wait=0")
    assert status in {200, 202}
    if status == 202:
        page = visit(lab).see(f"/books/audit/{started['operation_id']}")
        page.wait_for_selector("#audit-report .books.good")


def test_an_address_without_a_page_is_a_page_for_people(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see(f"/{uuid.uuid4().hex}", status=404)
    visitor.problems.clear()  # Chromium reports the status
    assert page.get_by_role("heading", name="Not found").count() == 1
    status, answer = shop.call("GET", "/nothing-here")
    assert (status, answer["title"]) == (404, "Not Found")


def test_books_list_the_audits_that_were_made(lab: Caller, visit: Callable[..., Visitor]) -> None:
    lab.get("audit", wait=60)
    made = lab.get("audits")["items"]
    assert made[0]["balanced"]
    visitor = visit(lab)
    page = visitor.see("/books")
    assert page.locator("section:has(#audit) tr[data-id]").count() == min(len(made), 20)
    assert visitor.row(made[0]["at"])["spans"] == str(made[0]["spans"])
