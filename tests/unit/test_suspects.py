"""The settler sets aside a trace that fails, settles all others, and tries the failed one again later."""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ledger_rows import land_calls
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.suspects import ASIDE_S, BatchFailed, Suspects
from spanledger.settings import Settings
from spanledger.store.client import Store

TRACES = 80


def settled(store: Store, tenant: str) -> set[str]:
    rows = store.query(
        "SELECT DISTINCT trace_id FROM ledger WHERE tenant = {tenant:String} AND kind = 'call'", {"tenant": tenant}
    )
    return {trace_id for (trace_id,) in rows}


def test_the_settler_sets_aside_what_fails_and_settles_the_rest(
    store: Store, data_dir: Path, tenant: str, caplog: pytest.LogCaptureFixture
) -> None:
    land_calls(store, tenant, TRACES)
    everything = {f"{tenant}-{number}" for number in range(TRACES)}
    faulty = {f"{tenant}-{number}" for number in (0, 37, 38, 79)}

    def fail(spans: pa.Table, posted: pa.Table) -> None:
        found = pc.is_in(spans["trace_id"], pa.array(sorted(faulty))).to_pylist()
        if any(found):
            raise ValueError("one of these spans cannot be")

    settler = Ledger(store, Settings(data_dir=data_dir)).settler
    settler.observe_with(fail)
    with caplog.at_level(logging.ERROR):
        settler.settle_now()
    assert settled(store, tenant) == everything - faulty
    health = settler.health()
    assert health["set_aside"] == 4
    assert "4 traces" in health["last_error"]
    assert {trace for trace in everything if f"trace {trace} of tenant {tenant}" in caplog.text} == faulty

    # The traces stay queued; a new settler, as after a restart, tries them again.
    again = Ledger(store, Settings(data_dir=data_dir)).settler
    again.settle_now()
    assert settled(store, tenant) == everything
    assert again.health()["set_aside"] == 0


def test_a_trace_is_tried_again_when_its_time_is_over() -> None:
    now = 0.0
    suspects = Suspects(lambda: now)
    suspects.failed(BatchFailed([("t", "a"), ("t", "b"), ("t", "c")]))
    assert suspects.limit(4_000) == 1
    suspects.failed(BatchFailed([("t", "a")]))
    assert suspects.aside() == [("t", "a")]
    suspects.succeeded(4_000)
    assert suspects.limit(4_000) == 2
    now = ASIDE_S + 1
    assert suspects.aside() == []
