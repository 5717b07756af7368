"""The seal of log records: proves that this installation wrote a record, since senders of telemetry may write logs too.

ClickHouse computes the same when records are read: of the audit trail in `clickhouse/queries/parts/audit_entries.sql`,
of statements and evaluations in their views (the digest of the facts) and in `clickhouse/queries/parts/is_sealed.sql`.
"""

import hashlib
from collections.abc import Iterable

SEPARATOR = "\x1f"


def seal(secret: str, entry_id: str, *facts: str) -> str:
    """Empty without a secret. `facts` of an audit entry: event, action, outcome, target, key id, count and time in ns,
    as texts. Other records have a digest of their facts in place of the id, and no facts."""
    return _sum((secret, entry_id, *facts, secret)) if secret else ""


def digest(facts: Iterable[str]) -> str:
    """Of the facts that a seal covers, as texts in a fixed order."""
    return _sum(facts)


def _sum(texts: Iterable[str]) -> str:
    return hashlib.sha256(SEPARATOR.join(texts).encode("utf-8", "surrogatepass")).hexdigest()
