"""What pages do beyond showing: exports, prices, reconciling, jobs, feedback, versions of a prompt, local times."""

import csv
import io
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from guarded import Caller
from system import System
from tenants import ask, put
from visitor import Visitor

_BOOK = """format: 1
prices:
  - provider: {provider}
    model: {model}
    usd_per_million_tokens: {{input: 1000, output: 2000}}
"""


@pytest.fixture
def operator(system: System) -> Caller:
    """Who runs this machine: from loopback, without a key."""
    return Caller(system, "")


def test_a_message_says_why_it_is_dear(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see("/messages?range=all&sort=-cost")
    page.locator('tbody [data-figure="cost_usd"]').first.click()
    page.wait_for_selector("#drawer .compare")
    message = shop.get("messages", sort="-cost", limit=1)["items"][0]
    found = shop.get("explain", "compare", message=message["message_id"])
    for factor in found["factors"]:
        assert visitor.row(factor["factor"])["amount_usd"] == factor["amount_usd"]
    shown = {name: value for name, value, _ in visitor.figures("#drawer .compare")}
    assert (shown["median_usd"], shown["difference_usd"]) == (found["median_usd"], found["difference_usd"])
    for kind, name in (("conversation", "demo-trip"), ("user", "ada")):
        page = visitor.see(f"/explain?{kind}={name}")
        page.wait_for_selector(".compare")


def test_tables_can_be_taken_away(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    lists = {"/messages?range=all&user=grace": "messages", "/users?range=all": "users", "/costs?range=all": "calls"}
    for path, kind in lists.items():
        page = visitor.see(path)
        with page.expect_download() as download:
            page.locator(".exports a", has_text="JSON lines").click()
        *rows, end = [json.loads(line) for line in download.value.path().read_text().splitlines()]
        assert end["end"]["complete"], path
        expected = shop.get("messages", user="grace") if kind == "messages" else shop.get("usage")
        assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal(expected["usage"]["cost_usd"]), path
        for form in ("CSV", "Parquet"):
            assert page.locator(".exports a", has_text=form).count(), path
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").first.click()
    table = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    groups = shop.get("usage", group_by="model")["groups"]
    assert [(row["model"], row["usage.cost_usd"]) for row in table] == [
        (group["model"], group["usage"]["cost_usd"]) for group in groups
    ]


def test_prices_are_tried_posted_and_taken_back(
    system: System, operator: Caller, visit: Callable[..., Visitor]
) -> None:
    conversation = f"prices-{uuid.uuid4().hex[:8]}"
    ask(operator, conversation)
    operator.flush()

    def cost() -> Decimal:
        return Decimal(operator.get("conversations", conversation)["usage"]["cost_usd"])

    before = cost()
    call = operator.get("explain", conversation=conversation)["calls"][0]
    visitor = visit(operator, login=False)
    page = visitor.see("/books/prices")
    page.fill('[name="start"]', "-1h")
    page.fill('[name="end"]', "now")
    page.fill("#book", "prices: nonsense")
    page.get_by_role("button", name="Preview").click()
    assert page.get_by_role("alert").inner_text()
    page.fill("#book", _BOOK.format(provider=call["provider"], model=call["model"]))
    page.get_by_role("button", name="Preview").click()
    page.wait_for_selector("#preview")
    shown = {name: value for name, value, _ in visitor.figures(".cards")}
    assert Decimal(shown["new_usd"]) - Decimal(shown["old_usd"]) == Decimal(shown["difference_usd"]) > 0
    row = visitor.row(f"{call['provider']} / {call['model']}")
    assert Decimal(row["difference_usd"]) == Decimal(shown["difference_usd"])
    assert page.locator("#by-user tbody tr, #by-tenant tbody tr, #by-day tbody tr").count() >= 3
    assert cost() == before
    page.get_by_role("button", name="Post these prices").click()
    page.wait_for_url("**/books?repriced=*")
    assert cost() > before * 100
    page.get_by_role("button", name="Take back").last.click()
    page.wait_for_url("**/books?undone=*")
    assert cost() == before


def test_only_the_operator_prices_again(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see("/books/prices")
    assert page.locator("form[action^='/books/prices']").count() == 0
    assert page.locator("tbody tr[data-id]").count()
    refused = page.request.post(f"{visitor.base}/books/prices", form={"start": "-1h", "end": "now"})
    assert refused.status == 403


def test_an_export_of_a_provider_is_reconciled(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see("/books/reconcile")
    page.set_input_files('input[type="file"]', {"name": "usage.csv", "mimeType": "text/csv", "buffer": b"nothing"})
    page.get_by_role("button", name="Compare").click()
    assert page.get_by_role("alert").inner_text()
    body = {"data": [_bucket(1_767_225_600, "gpt-4o", 10, 2)], "object": "page"}
    text = json.dumps(body).encode()
    page.set_input_files('input[type="file"]', {"name": "usage.json", "mimeType": "application/json", "buffer": text})
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#report")
    answer = shop.call("POST", "/v1/reconcile", {"content": text.decode(), "name": "usage.json"})[1]
    shown = {name: value for name, value, _ in visitor.figures("section .facts")}
    assert {name: int(value) for name, value in shown.items() if value != "0"} == answer["counts"]


def _bucket(start: int, model: str, given: int, made: int) -> dict[str, Any]:
    result = {"object": "organization.usage.completions.result", "model": model, "num_model_requests": 1}
    result |= {"input_tokens": given, "output_tokens": made, "input_cached_tokens": 0}
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": [result]}


def test_a_key_is_made_and_shown_once(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see("/settings")
    before = page.locator("#keys tbody tr").count()
    name = f"once-{uuid.uuid4().hex[:8]}"
    page.fill('#keys [name="name"]', name)
    page.get_by_role("button", name="Make a key").click()
    key = page.locator("#keys .notice code").inner_text()
    assert key not in page.url
    assert shop.system.request("GET", "/v1/usage", Authorization=f"Bearer {key}")[0] == 200
    for _ in range(2):
        page.reload()
        assert key not in page.content()
        assert page.locator("#keys tbody tr", has_text=name).count() == 1
        assert page.locator("#keys tbody tr").count() == before + 1
    assert all(key not in cookie["value"] for cookie in page.context.cookies())
    assert "spanledger_made" not in {cookie["name"] for cookie in page.context.cookies()}


def test_a_job_runs_again(shop: Caller, visit: Callable[..., Visitor]) -> None:
    status, job = shop.call("POST", "/v1/jobs", {"content": "hello", "schedule": "0 3 1 1 *"})
    assert status == 202, job
    visitor = visit(shop)
    page = visitor.see("/catalogue")
    row = f'[data-id="{job["job_id"]}"]'
    page.locator(f"{row} button", has_text="Cancel").click()
    page.wait_for_selector(f"{row} >> text=cancelled")
    page.locator(f"{row} button", has_text="Run again").click()
    page.wait_for_url("**/catalogue#jobs")
    assert shop.get("jobs", job["job_id"])["attempts"]


def test_feedback_is_given_where_a_message_is_shown(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see("/conversations/demo-trip")
    message = page.locator("li.turn").first.get_attribute("data-id")
    assert message
    page.locator("li.turn").first.get_by_text("Rate").click()
    page.locator("li.turn").first.locator('[name="comment"]').fill("<b>wrong</b>")
    page.locator("li.turn").first.get_by_role("button", name="Bad").click()
    page.wait_for_selector("text=Feedback taken")
    shop.flush()
    given = shop.get("messages", message, "feedback")["items"]
    assert [(one["score"], one["explanation"]) for one in given if not one["superseded"]] == [(0.0, "<b>wrong</b>")]
    trace = shop.get("messages", message)["trace_id"]
    assert visitor.see(f"/traces/{trace}").locator(".chip.bad", has_text="negative").count() == 1


def test_versions_of_a_prompt_stand_side_by_side(shop: Caller, visit: Callable[..., Visitor]) -> None:
    name = f"prompt-{uuid.uuid4().hex[:8]}"
    for text in ("Be kind.\nBe brief.", "Be kind.\n<script>alert(1)</script>", "Be kind."):
        put(shop, f"/v1/prompts/{name}", {"text": text})
    visitor = visit(shop)
    page = visitor.see("/catalogue")
    page.get_by_role("link", name=name).click()
    page.wait_for_url(f"**/catalogue/prompts/{name}")
    assert page.locator(".diff del").all_inner_texts() == ["− <script>alert(1)</script>"]
    page.select_option('[name="old"]', "1")
    page.select_option('[name="new"]', "2")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**old=1*")
    assert page.locator(".diff del").all_inner_texts() == ["− Be brief."]
    assert page.locator(".diff ins").all_inner_texts() == ["+ <script>alert(1)</script>"]


def test_times_are_shown_as_the_reader_s_clock_has_them(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop, timezone_id="Pacific/Auckland")
    page = visitor.see("/messages?range=all")
    time = page.locator("tbody time").first
    utc = time.inner_text()
    page.get_by_role("button", name="Local times").click()
    assert time.inner_text() != utc
    assert "Pacific/Auckland" in page.locator("#times-said").inner_text()
    page.reload()
    assert page.locator("tbody time").first.inner_text() != utc
    page.get_by_role("button", name="UTC times").click()
    assert page.locator("tbody time").first.inner_text() == utc


def test_shares_of_coverage_add_up(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    for path in ("/?range=7d", "/costs?range=7d"):
        visitor.see(path)
        shown = {name: int(value) for name, value, _ in visitor.figures(".coverage")}
        calls = next(int(value) for name, value, _ in visitor.figures(".cards") if name == "llm_calls")
        assert shown
        assert sum(shown.values()) == calls


def test_a_preview_stands_only_where_content_is_kept(shop: Caller, visit: Callable[..., Visitor]) -> None:
    found = shop.get("messages", preview=20)
    visitor = visit(shop)
    page = visitor.see("/messages?range=all")
    assert page.locator("td.preview").count() == (len(found["items"]) if found["previews"] else 0)
