"""A thing against its peers: the amounts of the factors add up to the difference, and name what is different."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rows import NOON, SECOND, ledger_row, write_rows
from spanledger.errors import BadRequest, NotFound
from spanledger.ledger import activations
from spanledger.ledger.activations import LedgerPrices
from spanledger.pricing import load_book
from spanledger.stats.compare import PeerComparison, compare
from spanledger.stats.decomposition import FACTORS, Profile, shares
from spanledger.stats.times import Window
from spanledger.store.client import Store

PEERS = 9
MINI = {"input": Decimal("0.00000015"), "cached": Decimal("0.000000075"), "output": Decimal("0.0000006")}
FULL = {"input": Decimal("0.0000025"), "cached": Decimal("0.00000125"), "output": Decimal("0.00001")}


@pytest.fixture(scope="module")
def prices(store: Store) -> LedgerPrices:
    return activations.open_prices(store, load_book())


def call(model: str = "gpt-4o-mini", tokens: tuple[int, int, int] = (1000, 0, 100), **more: Any) -> dict[str, Any]:
    """A priced call: input, of it from the cache, output."""
    rates = FULL if model == "gpt-4o" else MINI
    read, cached, written = tokens
    cost = (read - cached) * rates["input"] + cached * rates["cached"] + written * rates["output"]
    return {
        "provider": "openai",
        "model": model,
        "input_tokens": read,
        "cache_read_input_tokens": cached,
        "output_tokens": written,
        "cost_usd": str(cost),
        **more,
    }


TOOL: dict[str, Any] = {"kind": "tool", "tool_calls": 1, "tool": "search"}


def put(store: Store, tenant: str, message: str, *entries: dict[str, Any], **more: Any) -> None:
    whose = {"message_id": message, "trace_id": f"{tenant}-{message}", "workflow": "chat", "service": "web"}
    whose |= {"conversation_id": f"c-{message}", "user_id": f"u-{message}", **more}
    rows = [
        ledger_row(n, tenant, **(whose | {"span_id": f"{message}-{n}", "started_at": NOON + n * SECOND} | entry))
        for n, entry in enumerate(entries)
    ]
    write_rows(store, "ledger", rows)


def peers(store: Store, tenant: str) -> None:
    for number in range(PEERS):
        put(store, tenant, f"peer-{number}", call())


def exact(found: PeerComparison) -> dict[str, Decimal]:
    amounts = {one.factor: Decimal(one.amount_usd) for one in found.factors}
    assert found.median_usd is not None
    assert found.difference_usd is not None
    assert Decimal(found.difference_usd) == Decimal(found.cost_usd) - Decimal(found.median_usd)
    assert sum(amounts.values()) == Decimal(found.difference_usd)
    return amounts


OWN = {
    "calls": [call(), call(), call()],
    "context": [call(tokens=(50_000, 0, 100))],
    "answer": [call(tokens=(1000, 0, 9000))],
    "cache": [call(tokens=(1000, 900, 100))],
    "model": [call("gpt-4o")],
    "tools": [call(), TOOL, call(), TOOL, call()],
    "retries": [call(status="error"), call(status="error"), call()],
}


@pytest.mark.parametrize("factor", OWN)
@pytest.mark.parametrize("kind", ["message", "conversation", "user"])
def test_what_is_different_is_named(store: Store, tenant: str, prices: LedgerPrices, kind: Any, factor: str) -> None:
    peers(store, tenant)
    put(store, tenant, "own", *OWN[factor])
    name = {"message": "own", "conversation": "c-own", "user": "u-own"}[kind]
    found = compare(store, tenant, prices, kind, name)
    amounts = exact(found)
    assert found.peers.count == PEERS
    assert amounts[factor] == Decimal(found.difference_usd or "")
    assert {one for one, amount in amounts.items() if amount} == {factor}
    assert found.factors[0].factor == factor
    assert found.peers.cheaper == (0 if factor == "cache" else PEERS)


def test_several_differences_share_the_amount(store: Store, tenant: str, prices: LedgerPrices) -> None:
    for number in range(7):
        put(store, tenant, f"peer-{number}", *[call(tokens=(900 + 50 * number, 100, 100 + number))] * (1 + number % 2))
    put(store, tenant, "own", *[call("gpt-4o", (12_000, 3_000, 700)), call("gpt-4o"), TOOL] * 3)
    amounts = exact(compare(store, tenant, prices, "message", "own"))
    assert all(amounts[name] > 0 for name in ("calls", "tools", "context", "answer", "model"))
    assert abs(amounts["rest"]) < Decimal("0.001")


def test_peers_are_of_the_same_workflow_and_priced(store: Store, tenant: str, prices: LedgerPrices) -> None:
    peers(store, tenant)
    put(store, tenant, "other", call("gpt-4o"), workflow="batch")
    put(store, tenant, "unknown", call(cost_usd="0", computed_calls=0, unpriced_calls=1))
    put(store, f"{tenant}-other", "foreign", call("gpt-4o"))
    put(store, tenant, "own", call("gpt-4o"))
    found = compare(store, tenant, prices, "message", "own")
    assert (found.peers.count, found.peers.left_out, found.peers.models) == (PEERS, 1, ["gpt-4o-mini"])
    assert found.peers.what == "messages of workflow chat around this time"


def test_without_peers_there_is_no_median(store: Store, tenant: str, prices: LedgerPrices) -> None:
    put(store, tenant, "own", call())
    found = compare(store, tenant, prices, "message", "own")
    assert (found.median_usd, found.difference_usd, found.factors, found.peers.count) == (None, None, [], 0)


def test_a_window_bounds_what_is_compared(store: Store, tenant: str, prices: LedgerPrices) -> None:
    peers(store, tenant)
    put(store, tenant, "own", call("gpt-4o"))
    later = Window(NOON + 3600 * SECOND, None)
    with pytest.raises(NotFound):
        compare(store, tenant, prices, "user", "u-own", later)
    found = compare(store, tenant, prices, "user", "u-own", Window(NOON - SECOND, NOON + SECOND))
    assert found.peers.count == PEERS
    exact(found)


def test_what_cannot_be_compared(store: Store, tenant: str, prices: LedgerPrices) -> None:
    with pytest.raises(NotFound):
        compare(store, tenant, prices, "message", "nobody")
    with pytest.raises(BadRequest):
        compare(store, tenant, prices, "message", "")


numbers = st.fractions(min_value=0, max_value=10**6, max_denominator=1000)
profiles = st.builds(
    Profile,
    calls=numbers,
    tools=numbers,
    retries=numbers,
    context=numbers,
    answer=numbers,
    cache=st.tuples(st.fractions(0, Fraction(1, 2)), st.fractions(0, Fraction(1, 2))),
    rates=st.fixed_dictionaries(dict.fromkeys(("input", "cache_read", "cache_write", "output", "call"), numbers)),
)


@given(profiles, profiles)
def test_shares_add_up_and_change_their_sign_with_the_sides(own: Profile, typical: Profile) -> None:
    found = shares(own, typical)
    assert sum(found.values()) == own.cost - typical.cost
    assert found == {name: -share for name, share in shares(typical, own).items()}
    assert all(not found[name] for name in FACTORS if getattr(own, name) == getattr(typical, name))
