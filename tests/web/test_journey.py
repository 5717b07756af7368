"""From "spend doubled" on Home to the call and the price that explain it, in few clicks, and by keyboard alone."""

import os
import re
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from guarded import Caller
from otlp_make import trace_request
from system import System
from tenants import own_tenant
from visitor import Visitor

HOUR_NS = 3600 * 10**9
CLICKS = 6
USERS = 12
DEAR = 400_000  # input tokens of the one call that doubles the spend


@pytest.fixture(scope="module")
def doubled(system: System) -> Iterator[Caller]:
    """A tenant whose users did the same on two days, but for one message of the second."""
    with own_tenant(system) as caller:
        for number in range(USERS):
            for hours in (36, 12):
                send(caller, f"user-{number:02}", f"talk-{number:02}-{hours}", hours, 20_000 + number)
        send(caller, "user-07", "talk-07-12", 11, DEAR)
        caller.flush()
        yield caller


def send(caller: Caller, user: str, conversation: str, hours_ago: int, tokens: int) -> None:
    """A message whose agent makes a small call and one of so many tokens."""
    now = time.time_ns() - hours_ago * HOUR_NS
    root = os.urandom(8)
    both = {"user.id": user, "session.id": conversation}
    call = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    counts = ((100, 10), (tokens, 200))
    spans: list[dict[str, Any]] = [
        {"span_id": root, "name": "invoke_agent clerk", "attributes": {"gen_ai.operation.name": "invoke_agent", **both}}
    ]
    for given, made in counts:
        used = {"gen_ai.usage.input_tokens": given, "gen_ai.usage.output_tokens": made}
        spans.append({"name": "chat gpt-4o", "parent_span_id": root, "kind": 3, "attributes": {**call, **used}})
    request = trace_request(*spans, trace_id=os.urandom(16))
    for number, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
        span.start_time_unix_nano = now + number * 10**6
        span.end_time_unix_nano = now + (number + 5) * 10**8
    assert caller.send(request.SerializeToString()) == 200


def dearest(visitor: Visitor, rows: str) -> str:
    """The `data-id` of the row with the highest cost."""
    found = visitor.page.eval_on_selector_all(
        rows,
        """all => all.map(row => [row.dataset.id,
            Math.max(...[...row.querySelectorAll('[data-figure=cost_usd]')]
                .map(one => Number(one.dataset.value) || 0))])""",
    )
    assert found
    name, cost = max(found, key=lambda one: one[1])
    assert cost > 0
    return str(name)


def spend_has_doubled(visitor: Visitor) -> None:
    said = visitor.page.locator(".cards .card").first.inner_text()
    change = re.search(r"\+(\d+) %", said)
    assert change, said
    assert int(change[1]) > 80


def is_explained(visitor: Visitor) -> None:
    """The drawer says tokens × rate = amount, the price, and why this is more than usual."""
    drawer = visitor.page.locator("#drawer .explain")
    drawer.wait_for()
    told = {name: value for name, value, _ in visitor.figures("#drawer .behind table tr:has-text('input')")}
    assert told["tokens"] == str(DEAR)
    assert Decimal(told["amount"]) > Decimal("0.5")
    assert "gpt-4o" in drawer.locator(".facts:has-text('price')").first.inner_text()


def test_from_spend_that_doubled_to_its_price_in_few_clicks(doubled: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(doubled)
    page, clicks = visitor.page, 0

    def click(selector: str) -> None:
        nonlocal clicks
        clicks += 1
        page.locator(selector).first.click()

    spend_has_doubled(visitor)
    user = dearest(visitor, "section:has(#top-users) tr[data-id]")
    click(f'section:has(#top-users) tr[data-id="{user}"] a')
    page.wait_for_url(f"{visitor.base}/users/{user}*")
    conversation = dearest(visitor, "table.rows tr[data-id]")
    click(f'table.rows tr[data-id="{conversation}"] td a[href*="/conversations/"]')
    page.wait_for_url(f"{visitor.base}/conversations/{conversation}*")
    message = dearest(visitor, "li.turn[data-id]")
    click(f'li.turn[data-id="{message}"] .turn-head a:text-is("trace")')
    page.wait_for_url(f"{visitor.base}/traces/*")
    span = dearest(visitor, "tr[data-id]:has(.mark.call)")
    click(f'tr[data-id="{span}"] [data-figure="cost_usd"]')
    is_explained(visitor)
    assert clicks <= CLICKS
    assert (user, conversation) == ("user-07", "talk-07-12")


def test_the_same_by_keyboard_alone(doubled: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(doubled)
    page = visitor.page

    def reach(selector: str) -> None:
        """Tab until the focus is there, then Enter."""
        for _ in range(300):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                page.keyboard.press("Enter")
                return
        pytest.fail(f"the focus never came to {selector}")

    spend_has_doubled(visitor)
    user = dearest(visitor, "section:has(#top-users) tr[data-id]")
    reach(f'tr[data-id="{user}"] td.wide a')
    page.wait_for_url(f"{visitor.base}/users/{user}*")
    conversation = dearest(visitor, "table.rows tr[data-id]")
    reach(f'table.rows tr[data-id="{conversation}"] a[href*="/conversations/"]')
    page.wait_for_url(f"{visitor.base}/conversations/{conversation}*")
    message = dearest(visitor, "li.turn[data-id]")
    reach(f'li.turn[data-id="{message}"] .turn-head a[href*="/traces/"]')
    page.wait_for_url(f"{visitor.base}/traces/*")
    span = dearest(visitor, "tr[data-id]:has(.mark.call)")
    reach(f'tr[data-id="{span}"] a:has([data-figure="cost_usd"])')
    is_explained(visitor)
