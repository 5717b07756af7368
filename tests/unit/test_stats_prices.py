"""The price list over the books, and a provider's export beside them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ledger_rows import NOON, Post
from spanledger.errors import BadRequest
from spanledger.pricing import load_book
from spanledger.stats.price_list import prices
from spanledger.stats.reconciling import reconciled
from spanledger.store.client import Store

EXPORT = """{"object": "page", "has_more": false, "data": [{"object": "bucket", "start_time": 1795219200,
 "end_time": 1795305600, "results": [{"object": "organization.usage.completions.result", "model": "gpt-4o-mini",
 "input_tokens": %d, "output_tokens": 10, "input_cached_tokens": 0, "num_model_requests": 1}]}]}"""


def test_entries_that_calls_lead_to(store: Store, tenant: str, post: Post) -> None:
    post(provider="openai", model="gpt-4o-mini", cost_usd="0.001")
    post(provider="openai", model="gpt-4o-mini-2024-07-18", cost_usd="0.002")
    post(provider="nobody", model="unknown")
    found = prices(store, tenant, load_book(), used=True)
    assert sum(line.llm_calls for line in found.items) == 2
    assert sum(Decimal(line.cost_usd) for line in found.items) == Decimal("0.003")
    mini = next(line for line in found.items if line.model == "gpt-4o-mini")
    ordinary = next(step for step in mini.steps if (step.tier, step.above) == ("", 0))
    assert (ordinary.usd_per_million["input"], ordinary.usd_per_million["output"]) == ("0.15", "0.6")


def test_search_by_text_provider_and_time(store: Store, tenant: str) -> None:
    book = load_book()
    found = prices(store, tenant, book, text="claude-sonnet-4-5", provider="anthropic", at=datetime.now(UTC))
    assert found.items
    assert {line.provider for line in found.items} == {"anthropic"}
    assert all("claude-sonnet-4-5" in line.model for line in found.items)
    few = prices(store, tenant, book, limit=3)
    assert (len(few.items), few.price_book) == (3, book.version)
    assert few.count > 1000


@pytest.mark.parametrize(("tokens", "matches"), [(100, True), (101, False)])
def test_an_export_beside_the_books(store: Store, tenant: str, post: Post, tokens: int, matches: bool) -> None:
    post(provider="openai", model="gpt-4o-mini", input_tokens=100, output_tokens=10, started_at=NOON)
    answer = reconciled(store, tenant, EXPORT % tokens, "usage.json", Decimal(0))
    (line,) = answer["lines"]
    assert (line["status"] == "matched") is matches


def test_what_is_no_export_is_refused(store: Store, tenant: str) -> None:
    with pytest.raises(BadRequest, match=r"notes\.txt"):
        reconciled(store, tenant, "hello", "notes.txt", Decimal(0))
