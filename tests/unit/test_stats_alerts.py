"""Alerts: which windows of the clock were above a rule's threshold."""

from ledger_rows import NOON, SECOND, Post
from spanledger.stats.alerts import ERROR_RATE, UNPRICED_SHARE, alerts
from spanledger.stats.times import ALL_TIME, Window
from spanledger.store.client import Store

MINUTE = 60 * SECOND


def test_a_rule_fires_in_the_windows_that_are_above_it(store: Store, tenant: str, post: Post) -> None:
    for number in range(30):
        post(started_at=NOON + number * SECOND, service="shop", model="known")
    for number in range(10):
        failed = {"llm_calls": 0, "failed_calls": 1, "computed_calls": 0}
        post(started_at=NOON + 16 * MINUTE + number * SECOND, service="shop", model="known", **failed)
        post(
            started_at=NOON + 16 * MINUTE + number * SECOND,
            service="shop",
            model="new",
            computed_calls=0,
            unpriced_calls=1,
        )
        post(started_at=NOON + 17 * MINUTE + number * SECOND, service="shop", model="new")
        post(
            started_at=NOON + 17 * MINUTE + number * SECOND,
            service="quiet",
            model="rare",
            computed_calls=0,
            unpriced_calls=1,
        )
    found = alerts(store, tenant, ALL_TIME, 10)
    assert [rule.name for rule in found.rules] == [ERROR_RATE.name, UNPRICED_SHARE.name]
    assert [(one.rule, one.about, one.start, one.calls, one.share) for one in found.items] == [
        ("error-rate", "shop", "2026-11-21T12:15:00.000000Z", 30, 10 / 30),
        ("unpriced-share", "new", "2026-11-21T12:00:00.000000Z", 20, 0.5),
    ]
    assert not any(one.is_open for one in found.items if one.end < "2026-11-22")
    assert alerts(store, tenant, Window(NOON, NOON + 15 * MINUTE), 10).items == []
    assert len(alerts(store, tenant, ALL_TIME, 1).items) == 1
