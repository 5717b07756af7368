"""How an entry of the audit trail proves that this installation wrote it: its senders may write logs too.

The same sum is computed by ClickHouse when the trail is read (`clickhouse/queries/audit_log.sql`).
"""

import hashlib

SEPARATOR = "\x1f"


def seal(secret: str, entry_id: str, *facts: str) -> str:
    """Empty without a secret. `facts`: event, action, outcome, target, key id, count and time in ns, as texts."""
    if not secret:
        return ""
    said = SEPARATOR.join((secret, entry_id, *facts, secret))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
