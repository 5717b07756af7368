"""What ended in the last seconds: also calls that began long before, and calls that were corrected."""

import pytest

from ledger_rows import NOON, SECOND, Post
from spanledger.stats.realtime import Realtime, realtime
from spanledger.store.client import Store

MINUTE = 60 * SECOND


def _seen(store: Store, tenant: str) -> Realtime:
    return realtime(store, tenant, window=60, now_ns=NOON)


@pytest.mark.parametrize("minutes", [2, 20, 59])
def test_a_slow_call_counts_when_it_ended(store: Store, tenant: str, post: Post, minutes: int) -> None:
    post(trace_id="short", started_at=NOON - 2 * MINUTE, duration_ns=SECOND)
    post(trace_id="slow", started_at=NOON - minutes * MINUTE, duration_ns=minutes * MINUTE - 30 * SECOND)
    seen = _seen(store, tenant)
    assert (seen.calls, seen.latency_ms.p50) == (1, (minutes * 60 - 30) * 1000)


def test_calls_before_and_behind_the_window_do_not_count(store: Store, tenant: str, post: Post) -> None:
    post(trace_id="over", started_at=NOON - 3 * MINUTE, duration_ns=MINUTE)
    post(trace_id="runs on", started_at=NOON - MINUTE, duration_ns=2 * MINUTE)
    assert (_seen(store, tenant).calls, _seen(store, tenant).latency_ms.p50) == (0, None)


def test_a_call_is_as_long_as_its_corrections_make_it(store: Store, tenant: str, post: Post) -> None:
    call = {"trace_id": "t", "span_id": "s", "started_at": NOON - 68 * SECOND}
    post(**call, duration_ns=2 * SECOND)
    for more in range(1_400, 2_000, 100):
        post(**call, llm_calls=0, duration_ns=more * 1_000_000)
    assert (_seen(store, tenant).calls, _seen(store, tenant).latency_ms.p50) == (1, 11_900)


def test_a_call_that_was_taken_back_does_not_count(store: Store, tenant: str, post: Post) -> None:
    call = {"trace_id": "t", "span_id": "s", "started_at": NOON - MINUTE, "duration_ns": 30 * SECOND}
    post(**call)
    post(**{**call, "llm_calls": -1, "duration_ns": -30 * SECOND})
    assert _seen(store, tenant).calls == 0
