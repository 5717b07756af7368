"""What senders and strangers may try: content that would be a page, other tenants' data, forged forms, huge traces."""

import os
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx

from guarded import Caller
from otlp_make import trace_request
from system import System
from tenants import own_tenant
from visitor import Visitor

_SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>{{31337*31337}}'\"&"
ROWS_MS = 1_000
SPANS = 10_000


def _send(caller: Caller, *spans: dict[str, Any], trace_id: bytes) -> None:
    body = trace_request(*spans, trace_id=trace_id).SerializeToString()
    system = caller.system
    headers = {"Content-Type": "application/x-protobuf", **caller.headers}
    answer = httpx.post(f"http://127.0.0.1:{system.otlp_port}/v1/traces", content=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    system.flush()


def _call(**more: Any) -> dict[str, Any]:
    facts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
    }
    return {"name": "chat gpt-4o-mini", "attributes": facts | more}


def test_hostile_content_stays_text(system: System, visit: Callable[..., Visitor]) -> None:
    said = f'[{{"role": "user", "parts": [{{"type": "text", "content": {quote_json(_SCRIPT)}}}]}}]'
    trace = os.urandom(16)
    with own_tenant(system) as caller:
        hostile = {
            "gen_ai.conversation.id": _SCRIPT,
            "user.id": _SCRIPT,
            "gen_ai.input.messages": said,
            "gen_ai.agent.name": _SCRIPT,
            "gen_ai.request.model": _SCRIPT,
            _SCRIPT: _SCRIPT,
        }
        _send(caller, _call(**hostile) | {"name": _SCRIPT}, trace_id=trace)
        visitor = visit(caller)
        span = caller.get("traces", trace.hex(), "rows")["rows"][0]["span_id"]
        name = quote(_SCRIPT, safe="")
        for path in (
            *("/", "/messages", "/users", "/costs?by=agent&and=user", "/catalogue"),
            *(f"/traces/{trace.hex()}?span={span}", f"/users/{name}", f"/conversations/{name}"),
            *(f"/explain?trace={trace.hex()}", f"/messages?q={name}&user={name}", f"/find?q={name}"),
        ):
            page = visitor.see(path)
            assert "owned" not in page.title() or _SCRIPT[:8] in page.title(), path
            assert page.locator("main img").count() == 0, path
            assert page.locator("main script").count() == 0, path
            assert "982007569" not in page.title()
        assert _SCRIPT in visitor.see(f"/traces/{trace.hex()}?span={span}").locator("#pane").inner_text()


def quote_json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_two_tenants_never_see_each_other(system: System, visit: Callable[..., Visitor]) -> None:
    trace = os.urandom(16)
    with own_tenant(system) as first, own_tenant(system) as second:
        _send(first, _call(**{"gen_ai.conversation.id": "secret-talk", "user.id": "secret-user"}), trace_id=trace)
        owner, stranger = visit(first), visit(second)
        owner.see("/conversations/secret-talk")
        for path in (f"/traces/{trace.hex()}", "/conversations/secret-talk", f"/explain?trace={trace.hex()}"):
            answer = stranger.page.request.get(stranger.base + path)
            assert answer.status == 404, path
            assert "secret-user" not in answer.text()
        for path in ("/", "/messages?range=all", "/users?range=all", "/users/secret-user", "/costs?range=all"):
            page = stranger.see(path)
            assert page.locator("main tr[data-id]").count() == 0, path
            cost = [value for name, value, _ in stranger.figures() if name == "cost_usd"]
            assert set(cost) <= {"0"}, path


def test_links_of_a_page_keep_line_breaks_in_its_address(system: System, visit: Callable[..., Visitor]) -> None:
    user = "line1\nline2\tend"
    with own_tenant(system) as caller:
        _send(caller, _call(**{"user.id": user, "gen_ai.agent.name": "helper"}), trace_id=os.urandom(16))
        page = visit(caller).see(f"/users/{quote(user, safe='')}")
        ranges = page.eval_on_selector_all(".ranges a", "all => all.map(one => one.getAttribute('href'))")
        assert ranges
        assert all(one.startswith(f"/users/{quote(user, safe='')}?") for one in ranges)


def test_ids_of_dots_have_pages(system: System, visit: Callable[..., Visitor]) -> None:
    """Browsers read `/users/..` as `/`, also when the dots are escaped."""
    with own_tenant(system) as caller:
        for name in (".", ".."):
            ids = {"user.id": name, "gen_ai.conversation.id": name, "gen_ai.agent.name": name}
            _send(caller, _call(**ids), trace_id=os.urandom(16))
        visitor = visit(caller)
        for name in (".", ".."):
            page = visitor.see("/users?range=all")
            page.locator("tbody a", has_text=re.compile(f"^{re.escape(name)}$")).first.click()
            page.wait_for_selector(f"h1:has-text('User') + .id >> text='{name}'")
            page.locator(".ranges a", has_text="all").click()
            page.wait_for_selector(f"h1:has-text('User') + .id >> text='{name}'")
            conversation = page.locator(f'tr[data-id="{name}"] a').first
            visitor.see(conversation.get_attribute("href"))
            assert page.locator("h1").inner_text() == "Conversation"
            visitor.see(f"/catalogue/agents/x?id={name}")
            assert page.title().startswith(f"Agent {name} ")


def test_pages_show_spans_that_name_nothing(system: System, visit: Callable[..., Visitor]) -> None:
    """No service, model, provider, user or conversation."""
    with own_tenant(system) as caller:
        trace = os.urandom(16)
        bare = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 10}
        body = trace_request({"name": "", "attributes": bare}, trace_id=trace)
        body.resource_spans[0].ClearField("resource")
        url = f"http://127.0.0.1:{system.otlp_port}/v1/traces"
        headers = {"Content-Type": "application/x-protobuf", **caller.headers}
        httpx.post(url, content=body.SerializeToString(), headers=headers).raise_for_status()
        system.flush()
        visitor = visit(caller)
        for path in ("/", "/messages", "/users", "/costs?by=service&and=model", "/books", "/catalogue", "/budgets"):
            visitor.see(path)
        visitor.see(f"/traces/{trace.hex()}")


def test_long_names_leave_room_for_figures(system: System, visit: Callable[..., Visitor]) -> None:
    with own_tenant(system) as caller:
        trace, name = os.urandom(16), "m" * 5_000
        _send(caller, _call(**{"gen_ai.request.model": name}) | {"name": f"chat {name}"}, trace_id=trace)
        limit = {"scope": "user", "match": "u" * 200, "usd_per_day": "1"}
        url = f"http://127.0.0.1:{system.port}/v1/limits/{'l' * 100}"
        httpx.put(url, json=limit, headers=caller.headers).raise_for_status()
        visitor = visit(caller)
        for path in ("/", "/messages", f"/traces/{trace.hex()}", "/costs", "/books", "/budgets"):
            page = visitor.see(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert page.evaluate("document.documentElement.scrollHeight") < 4_000, path
            assert page.evaluate("[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth < 2500)"), path


def test_a_form_from_elsewhere_is_refused(system: System) -> None:
    with own_tenant(system) as caller:
        base = f"http://127.0.0.1:{system.port}"
        form = {"name": "x", "scope": "user", "measure": "usd_per_day", "amount": "1"}
        answer = httpx.post(f"{base}/budgets", data=form, headers=caller.headers)
        assert answer.status_code == 403
        foreign = {"Origin": "https://elsewhere.example"}
        answer = httpx.post(f"{base}/budgets", data=form, headers=caller.headers | foreign)
        assert answer.status_code == 403
        assert caller.get("limits")["items"] == []


def test_a_session_reads_the_api_and_does_not_write_it(system: System, visit: Callable[..., Visitor]) -> None:
    with own_tenant(system) as caller:
        visitor = visit(caller)
        cookie = next(one for one in visitor.page.context.cookies() if one["name"] == "spanledger_session")
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert caller.key not in cookie["value"]
        held = {"Cookie": f"spanledger_session={cookie['value']}"}
        base = f"http://127.0.0.1:{system.port}"
        keys = httpx.get(f"{base}/v1/keys", headers=held).json()["items"]
        assert [key["key_id"] for key in keys] == [caller.key_id]
        body = {"scope": "user", "usd_per_day": "1"}
        httpx.put(f"{base}/v1/limits/by-cookie", json=body, headers=held)
        assert caller.get("limits")["items"] == []
        system.request("DELETE", "/v1/limits/by-cookie")  # of the machine's operator, whose request it counted as


def test_a_revoked_key_ends_its_session(system: System, visit: Callable[..., Visitor]) -> None:
    with own_tenant(system) as admin:
        status, made = admin.call("POST", "/v1/keys", {"role": "read"})
        assert status == 201
        reader = visit(Caller(system, made["key"]))
        assert reader.see("/settings").locator("#keys button").count() == 0
        admin.call("DELETE", f"/v1/keys/{made['key_id']}")
        assert reader.see("/settings").locator(".who").inner_text() == "default"  # the machine's own again: no key


def test_ten_thousand_spans_are_paged_and_found(system: System, visit: Callable[..., Visitor]) -> None:
    trace, root = os.urandom(16), os.urandom(8)
    spans = [{"name": "root", "span_id": root}]
    spans += [{"name": f"step {number}", "parent_span_id": root} for number in range(SPANS - 2)]
    spans += [_call() | {"name": "the needle", "parent_span_id": root}]
    with own_tenant(system) as caller:
        for start in range(0, len(spans), 2_500):
            _send(caller, *spans[start : start + 2_500], trace_id=trace)
        visitor = visit(caller)
        took = []
        for _ in range(3):
            began = time.monotonic()
            page = visitor.see(f"/traces/{trace.hex()}")
            page.wait_for_selector("#rows tr:nth-child(300)")
            took.append((time.monotonic() - began) * 1000)
        print(f"a trace of {SPANS} spans was there after {min(took):.0f} ms")
        assert visitor.row(root.hex())["total_tokens"] == "1100"
        assert page.locator("#rows tr[data-id]").count() == 300
        page.locator("#rows a[rel=next]").click()
        page.wait_for_selector("#rows tr:nth-child(600)")
        page.fill(f'form[action="/traces/{trace.hex()}"] input', "needle")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**q=needle*")
        assert page.locator("#rows tr[data-id]").count() == 2


def test_a_huge_attribute_freezes_nothing(system: System, visit: Callable[..., Visitor]) -> None:
    trace = os.urandom(16)
    with own_tenant(system) as caller:
        _send(caller, _call(**{"app.blob": "x" * 5_000_000}), trace_id=trace)
        span = caller.get("traces", trace.hex(), "rows")["rows"][0]["span_id"]
        visitor = visit(caller)
        page = visitor.see(f"/traces/{trace.hex()}?span={span}")
        assert len(page.content()) < 200_000
        assert page.get_by_role("link", name=re.compile("show all 5 M characters")).count() == 1


def test_the_start_page_notices_the_first_span(system: System, visit: Callable[..., Visitor]) -> None:
    with own_tenant(system) as caller:
        visitor = visit(caller)
        page = visitor.see("/")
        assert page.get_by_role("heading", name="Send the first span").is_visible()
        assert page.locator("button[data-copy]").first.is_visible()
        _send(caller, _call(), trace_id=os.urandom(16))
        page.wait_for_selector("#first.good")
        page.get_by_role("link", name="See what they cost").click()
        page.wait_for_selector("h1:has-text('Home')")


def test_a_page_asks_for_a_key_where_one_is_needed(system: System) -> None:
    base = f"http://127.0.0.1:{system.port}"
    bad = {"Authorization": "Bearer sl_aaaaaaaaaaaa_" + "a" * 43, "Accept": "text/html"}
    answer = httpx.get(f"{base}/messages?range=7d", headers=bad)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fmessages%3Frange%3D7d")
