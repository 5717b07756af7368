"""Alert rules over the books of a tenant, and when each of them fired.

The history is computed from the rollups, so it exists for any window, also one that nobody watched.
"""

import time
from dataclasses import dataclass

from spanledger.stats.fields import Time
from spanledger.stats.times import SECOND, Window, format_time
from spanledger.store import queries
from spanledger.store.client import Store

FEWEST_CALLS = 20  # of a window: fewer say nothing


@dataclass(frozen=True)
class AlertRule:
    """Fires for each `about` (a service or model) whose share in a window of `window_s` seconds is above `above`."""

    name: str
    title: str
    about: str
    above: float
    window_s: int


ERROR_RATE = AlertRule("error-rate", "Error rate of LLM calls", "service", 0.1, 900)
UNPRICED_SHARE = AlertRule("unpriced-share", "Calls without a price", "model", 0.05, 3600)


@dataclass(frozen=True)
class Alert:
    """One window of the clock in which a rule fired. `share` is of `calls`; `is_open`: the window has not ended."""

    rule: str
    about: str
    start: Time
    end: Time
    share: float
    calls: int
    is_open: bool


@dataclass(frozen=True)
class Alerts:
    """`items`: latest first, at most `limit`. Windows with fewer than 20 calls do not fire."""

    rules: list[AlertRule]
    items: list[Alert]


def alerts(store: Store, tenant: str, window: Window, limit: int) -> Alerts:
    rules = {rule.name: rule for rule in (ERROR_RATE, UNPRICED_SHARE)}
    parameters = {
        "tenant": tenant,
        "error_window_s": ERROR_RATE.window_s,
        "error_above": ERROR_RATE.above,
        "unpriced_window_s": UNPRICED_SHARE.window_s,
        "unpriced_above": UNPRICED_SHARE.above,
        "fewest_calls": FEWEST_CALLS,
        "limit": limit,
        **window.bounds(),
    }
    now_s = time.time_ns() // SECOND
    found = []
    for row in store.dicts(queries.sql("alert_history"), parameters):
        end_s = row["start_s"] + rules[row["rule"]].window_s
        start, end = format_time(row["start_s"] * SECOND), format_time(end_s * SECOND)
        found.append(Alert(row["rule"], row["about"], start, end, row["share"], row["calls"], end_s > now_s))
    return Alerts(list(rules.values()), found)
