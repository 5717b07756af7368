"""Settlement goes on between the pieces of an audit and of a re-pricing, and both still say what is so."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger_rows import land_calls
from spanledger.ledger import audit, reprice
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store.client import Store

_PATIENCE_S = 120
_LONG_AGO_MINUTES = 40 * 24 * 60  # a window that holds nothing of other tests: a re-pricing is of all tenants
_CALLS = "SELECT sum(llm_calls) FROM ledger WHERE tenant = {tenant:String}"


@pytest.fixture
def ledger(store: Store, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """In pieces of a few traces."""
    monkeypatch.setattr(audit, "CHUNK_SPANS", 5)
    monkeypatch.setattr(reprice, "_TURN_S", 0.0)
    monkeypatch.setattr(reprice, "_LONGEST_S", 0.0)
    return Ledger(store, Settings(data_dir=data_dir))


@pytest.fixture
def settle_meanwhile(store: Store, ledger: Ledger, tenant: str) -> Iterator[tuple[Callable[[str], None], list[int]]]:
    """What to call with each line that is said: spans of another tenant land and are settled at the first one, by
    another thread; and how many entries were posted so."""
    posted: list[int] = []
    with ThreadPoolExecutor(1) as pool:

        def say(line: str) -> None:
            if not posted:
                land_calls(store, f"{tenant}-meanwhile")
                posted.append(pool.submit(ledger.settler.settle_now).result(_PATIENCE_S))

        yield say, posted


Meanwhile = tuple[Callable[[str], None], list[int]]


def test_settlement_goes_on_beside_an_audit(
    store: Store, ledger: Ledger, tenant: str, settle_meanwhile: Meanwhile
) -> None:
    say, posted = settle_meanwhile
    land_calls(store, tenant, 20)
    ledger.settler.settle_now()
    report = ledger.audit(tenant=tenant, say=say)
    assert posted[0] > 0
    assert report.differences == []
    assert report.checked["traces"] == 20
    assert store.scalar(_CALLS, {"tenant": f"{tenant}-meanwhile"}) == 3


def test_settlement_goes_on_beside_a_repricing(
    store: Store, ledger: Ledger, tenant: str, settle_meanwhile: Meanwhile
) -> None:
    say, posted = settle_meanwhile
    land_calls(store, tenant, 20, ago_minutes=_LONG_AGO_MINUTES)
    ledger.settler.settle_now()
    start = datetime.now(UTC) - timedelta(minutes=_LONG_AGO_MINUTES + 1)
    result = ledger.reprice(start, start + timedelta(minutes=2), dry_run=True, say=say)
    assert posted[0] > 0
    assert result.traces >= 20
    assert ledger.audit(tenant=tenant).differences == []
