"""Events that are not spans: decisions, refusals and changes, as log records with an event name."""

import time
import uuid
from collections.abc import Mapping
from typing import Final

from spanledger.telemetry import ids, semconv
from spanledger.telemetry.seal import seal
from spanledger.telemetry.setup import Telemetry

AUDIT: Final = "spanledger.audit"  # data was changed or read
SECURITY: Final = "spanledger.security"  # something was refused, or failed validation
LIMIT_EXCEEDED: Final = "spanledger.limit_exceeded"
HEALTH: Final = "spanledger.health"

Value = str | int | float | bool


def record(
    telemetry: Telemetry, event: str, action: str, outcome: str, *, can_wait: bool = False, **facts: Value
) -> None:
    """Writes one entry of the audit trail: `action` like `prompt.put`, `outcome` `allowed|denied|failed`.

    `facts` become attributes `spanledger.<event's last word>.<name>`; ids of the request come by themselves.
    `can_wait`: see `Telemetry.event`.
    """
    prefix = event
    entry_id, at_ns = uuid.uuid4().hex, time.time_ns()
    target, count = str(facts.get("target", "")), str(facts.get("count", ""))
    sealed = seal(
        telemetry.seal_secret, entry_id, event, action, outcome, target, ids.current().key_id, count, str(at_ns)
    )
    attributes: Mapping[str, Value] = {
        f"{prefix}.action": action,
        f"{prefix}.outcome": outcome,
        semconv.AUDIT_ID: entry_id,
        **({semconv.SEAL: sealed} if sealed else {}),
        **{f"{prefix}.{name}": value for name, value in facts.items()},
    }
    is_warning = outcome != "allowed"
    telemetry.event(event, f"{action}: {outcome}", attributes, warning=is_warning, at_ns=at_ns, can_wait=can_wait)
