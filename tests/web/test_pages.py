"""Every page on the demo's data: its figures are the API's, it can be read by everybody, and it breaks nothing."""

import gzip
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from guarded import Caller
from spanledger.web.shown import share
from visitor import Visitor, asked

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
FIRST_LOAD_BYTES = 80_000


def pages(shop: Caller) -> dict[str, str]:
    message = shop.get("messages", sort="-cost", limit=1)["items"][0]
    trace = message["trace_id"]
    span = next(row for row in shop.get("traces", trace, "rows")["rows"] if row["counted"] == "call")
    return {
        "home": "/",
        "messages": "/messages",
        "trace": f"/traces/{trace}?span={span['span_id']}",
        "conversation": "/conversations/demo-trip",
        "explain": f"/explain?message={message['message_id']}",
        "compare": f"/explain/compare?message={message['message_id']}",
        "users": "/users",
        "user": "/users/ada",
        "costs": "/costs?by=user&and=model",
        "live": "/live",
        "books": "/books?audit=1",
        "prices": "/books/prices",
        "reconcile": "/books/reconcile",
        "budgets": "/budgets",
        "catalogue": "/catalogue",
        "sql": f"/sql?query={quote('SELECT model, sum(cost_usd) AS usd FROM ledger GROUP BY model')}",
        "settings": "/settings",
        "keys": "/keys",
        "start": "/start",
        "erase": "/erasures?user=ada",
        "agent": "/catalogue/agents/assistant",
    }


NAMES = (
    *("home", "messages", "trace", "conversation", "explain", "compare", "users", "user", "costs", "live", "books"),
    *("prices", "reconcile", "budgets", "catalogue", "sql", "settings", "keys"),
    *("start", "erase", "agent"),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(shop: Caller, visit: Callable[..., Visitor], scheme: str) -> None:
    visitor = visit(shop, color_scheme=scheme, bypass_csp=False)
    found = {}
    for name, path in pages(shop).items():
        page = visitor.see(path)
        page.evaluate(AXE.read_text())  # by the debugger: the page's policy lets no foreign script in
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found[name] = [
            (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"][:300])
            for one in result["violations"]
        ]
    assert {name: violations for name, violations in found.items() if violations} == {}


def test_every_figure_is_a_link_and_every_search_box_is_there(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    for name, path in pages(shop).items():
        page = visitor.see(path)
        assert page.locator('input[name="q"]').count() >= 1, name
        loose = [figure for figure in visitor.figures() if not figure[2]]
        assert loose == [], name


def test_figures_are_the_api_s(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    visitor.see("/messages?range=all")
    listed = shop.get("messages")
    rows = visitor.page.eval_on_selector_all("tr[data-id]", "all => all.map(one => one.dataset.id)")
    assert rows == [one["message_id"] for one in listed["items"]]
    for one in listed["items"]:
        _same(visitor.row(one["message_id"]), one["usage"] | {"duration_ms": one["duration_ms"]})
    total = {name: value for name, value, _ in visitor.figures("main .total")}
    _same(total, listed["usage"] | {"count": listed["count"], "message_count": listed["message_count"]})

    visitor.see("/users?range=all")
    for one in shop.get("users")["items"]:
        _same(visitor.row(one["user_id"]), one["usage"] | {"message_count": one["message_count"]})

    visitor.see("/conversations/demo-report")
    for one in shop.get("conversations", "demo-report", "messages")["items"]:
        _same(visitor.row(one["message_id"]), one["usage"] | {"duration_ms": one["duration_ms"]})

    trace = listed["items"][0]["trace_id"]
    visitor.see(f"/traces/{trace}")
    for one in shop.get("traces", trace, "rows")["rows"]:
        if one["subtree"]:
            _same(visitor.row(one["span_id"]), one["subtree"])

    visitor.see("/costs?range=all&by=model")
    for group in shop.get("usage", group_by="model")["groups"]:
        _same(visitor.row(group["model"]), group["usage"])


def test_counts_of_messages_are_those_of_the_page_that_they_lead_to(
    shop: Caller, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(shop)
    for path in ("/users?range=all", "/users/ada?range=all", "/conversations/demo-report"):
        visitor.see(path)
        counts = [one for one in visitor.figures() if one[0] == "message_count" and one[2].startswith("/messages")]
        assert counts or path == "/users/ada?range=all"
        for _, value, href in counts[:3]:
            visitor.see(href)
            assert ("message_count", value) in {(name, shown) for name, shown, _ in visitor.figures("main .total")}


def test_what_comes_later_is_also_there_without_javascript(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop, java_script_enabled=False)
    page = visitor.see("/messages?range=all")
    page.locator("#facets a").click()
    assert page.locator(".facets summary", has_text="Model").count() == 1
    page = visitor.see("/costs?range=all")
    page.locator("#dearest a").click()
    dearest = shop.get("messages", sort="-cost", limit=1)["items"][0]
    assert visitor.row(dearest["message_id"])["cost_usd"] == dearest["usage"]["cost_usd"]
    assert visitor.see("/?range=all").locator("section:has(#top-users) tr[data-id]").count()


def _same(shown: dict[str, str], usage: dict[str, Any]) -> None:
    """Every figure that is shown has the API's text."""
    assert shown
    for name, value in shown.items():
        assert value == str(usage[name]), name


def test_a_figure_opens_what_it_is_made_of(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see("/messages?range=all&sort=-cost")
    page.wait_for_load_state("networkidle")  # the facets above the table have come: rows stay where they are
    page.locator('tbody [data-figure="cost_usd"]').first.click()
    page.wait_for_selector("#drawer .explain")
    message = shop.get("messages", sort="-cost", limit=1)["items"][0]
    explained = shop.get("explain", message=message["message_id"])
    shown = visitor.figures("#drawer .behind h3")
    assert [value for _, value, _ in shown] == [call["amount"] for call in explained["calls"]]
    assert "explain=" in page.url
    shared = visitor.see(page.url.removeprefix(visitor.base))
    shared.wait_for_selector("#drawer .explain")
    shared.keyboard.press("Escape")
    assert shared.locator("#drawer").is_hidden()
    shared.go_back()
    shared.wait_for_selector("#drawer .explain")


def test_every_explanation_that_a_page_links_to_is_there(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    links = set()
    for path in ("/", "/messages", "/costs?by=user&and=model", "/users"):
        visitor.see(path)
        links |= {href for _, _, href in visitor.figures() if href.startswith("/explain")}
    assert links
    for href in links:
        status, answer = shop.call("GET", "/v1" + href)
        assert status == 200, (href, answer)


def test_by_keyboard_alone(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.page
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url(f"{visitor.base}/messages")
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = shop.get("messages")["items"][1]
    assert page.locator("tr.here").get_attribute("data-id") == second["message_id"]
    page.keyboard.press("e")
    page.wait_for_selector("#drawer .explain")
    page.keyboard.press("Escape")
    page.wait_for_selector("#drawer", state="hidden")
    page.locator("tr.here a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{visitor.base}/traces/{second['trace_id']}*")
    page.keyboard.press("/")
    page.keyboard.type("demo-trip")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{visitor.base}/conversations/demo-trip")


def test_any_id_leads_to_its_page(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    message = shop.get("messages", limit=1)["items"][0]
    trace = f"/traces/{message['trace_id']}"
    expected = {
        message["message_id"]: trace,
        message["trace_id"]: trace,
        message["correlation_id"]: trace,
        "demo-trip": "/conversations/demo-trip",
        "ada": "/users/ada",
        "no such thing": "/messages?q=no+such+thing&range=all",
    }
    for identity, path in expected.items():
        page = visitor.see(f"/find?q={quote(identity)}")
        assert page.url == visitor.base + path


def test_pages_are_read_without_javascript(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop, java_script_enabled=False)
    for path in pages(shop).values():
        page = visitor.see(path)
        assert page.locator("main").inner_text().strip()
    visitor.see("/messages?range=all&sort=-cost")
    visitor.page.locator('tbody [data-figure="cost_usd"]').first.click()
    assert visitor.page.url.startswith(f"{visitor.base}/explain?message=")
    assert visitor.page.locator(".explain .behind").count()


@pytest.mark.parametrize("width", [360, 3840])
def test_no_page_is_wider_than_its_window(shop: Caller, visit: Callable[..., Visitor], width: int) -> None:
    visitor = visit(shop, viewport={"width": width, "height": 800})
    wide = {}
    for name, path in pages(shop).items():
        page = visitor.see(path)
        wide[name] = page.evaluate("document.documentElement.scrollWidth")
    assert {name: found for name, found in wide.items() if found > width} == {}


def test_the_policy_has_nothing_unsafe(shop: Caller) -> None:
    for path in pages(shop).values():
        answer = httpx.get(f"http://127.0.0.1:{shop.system.port}{path}", headers=shop.headers, timeout=60)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=\"", answer.text), path


def test_the_first_load_is_small(shop: Caller) -> None:
    base = f"http://127.0.0.1:{shop.system.port}"
    page = httpx.get(f"{base}/", headers=shop.headers, timeout=60).text
    linked = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    linked += [linked[0].rpartition("/")[0] + f"/{name}.js" for name in ("drawer", "keys", "copy", "times")]
    sizes = {name: len(gzip.compress(httpx.get(base + name).content)) for name in linked}
    assert sum(sizes.values()) + len(gzip.compress(page.encode())) < FIRST_LOAD_BYTES, sizes


def test_scripts_and_styles_are_loaded_once(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    visitor.see("/keys")
    page = visitor.see("/settings")
    loaded = "performance.getEntriesByType('resource').filter(e => e.name.includes('/static/'))"
    assert page.evaluate(f"{loaded}.map(e => e.name).some(name => name.endsWith('drawer.js'))")
    assert page.evaluate(f"{loaded}.filter(e => e.transferSize > 0).map(e => e.name)") == []
    base = f"http://127.0.0.1:{shop.system.port}"
    old = httpx.get(f"{base}/static/console.css", timeout=60)
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
    assert httpx.get(f"{base}/static/000000000000/console.css", timeout=60).status_code == 404


def test_filters_are_in_the_address(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see("/messages?range=all")
    page.locator("summary", has_text="User").click()
    page.get_by_role("link", name="grace", exact=True).first.click()
    page.wait_for_url("**user=grace*")
    expected = shop.get("messages", user="grace")
    assert page.locator("tbody tr[data-id]").count() == len(expected["items"])
    total = {name: value for name, value, _ in visitor.figures("main .total")}
    assert total["cost_usd"] == expected["usage"]["cost_usd"]
    explained = {href for name, _, href in visitor.figures("main .total") if name == "cost_usd"}
    assert asked(explained.pop())["user"] == "grace"
    page.go_back()
    assert page.locator("tbody tr[data-id]").count() == len(shop.get("messages")["items"])


def test_sql_answers_and_says_what_is_wrong(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see(f"/sql?query={quote('SELECT count() AS n FROM messages FINAL')}")
    assert page.locator("#answer tbody td").inner_text() == str(len(shop.get("messages")["items"]))
    page = visitor.see(f"/sql?query={quote('SELECT nothing FROM nowhere')}")
    assert page.get_by_role("alert").inner_text()


def _each_use_leads_to_its_explanation(visitor: Visitor) -> None:
    """Of the period of the limit, with the same amount; "≥" where calls have no price."""
    found = [(value, href) for name, value, href in visitor.figures() if name == "used" and value != "0"]
    assert found
    for value, href in found:
        visitor.see(href)
        total = next(value for name, value, _ in visitor.figures() if name == "cost_usd")
        assert Decimal(total) == Decimal(value), href


def test_a_limit_that_is_refused_leaves_the_form_as_it_was(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see("/budgets")
    page.fill('input[name="name"]', "half-a-thing")
    page.fill('input[name="amount"]', "ten")
    page.get_by_role("button", name="Set").click()
    page.wait_for_selector('[role="alert"]')
    visitor.problems.clear()  # the browser tells of the status of the answer
    assert page.input_value('input[name="name"]') == "half-a-thing"
    assert page.input_value('input[name="amount"]') == "ten"
    assert shop.get("limits")["items"] == []


def test_shares_are_never_all_or_nothing_by_rounding() -> None:
    shares = [0, 0.0001, 0.05, 0.5, 0.9958, 0.99999, 1, 1.0001, 22.44]
    shown = ["0 %", "< 0.1 %", "5 %", "50 %", "99.6 %", "> 99.9 %", "100 %", "> 100 %", f"2{chr(0x202F)}244 %"]
    assert [share(one) for one in shares] == shown


def test_a_limit_is_set_and_taken_away(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(shop)
    page = visitor.see("/budgets")
    page.fill('input[name="name"]', "each-user")
    page.select_option('select[name="scope"]', "user")
    page.fill('input[name="amount"]', "0.5")
    page.select_option('select[name="measure"]', "usd_per_month")
    page.get_by_role("button", name="Set").click()
    page.wait_for_selector('[data-id="each-user"]')
    assert shop.get("limits", "each-user")["usd_per_month"] == "0.5"
    _each_use_leads_to_its_explanation(visitor)
    visitor.see("/budgets").get_by_role("button", name="Remove this limit").click()
    page.wait_for_selector('[data-id="each-user"]', state="detached")
    assert shop.get("limits")["items"] == []


def test_events_come_as_they_happen_and_do_not_move_under_a_reader(shop: Caller, visit: Callable[..., Visitor]) -> None:
    visitor, other = visit(shop), visit(shop)
    for one in (visitor, other):
        one.see("/live")
        one.page.wait_for_selector("#live-state.good")
    other.page.get_by_role("button", name="Pause").click()
    status, answer = shop.call("POST", "/v1/conversations/live-1/messages", {"content": "hello", "user_id": "eve"})
    assert status == 200, answer
    visitor.page.wait_for_selector("#events td:has-text('workflow completed')")
    other.page.wait_for_selector("#live-waiting:has-text('waiting')")
    assert other.page.locator("#events tbody tr").count() == 0
    other.page.get_by_role("button", name="Continue").click()
    other.page.wait_for_selector("#events td:has-text('workflow completed')")
