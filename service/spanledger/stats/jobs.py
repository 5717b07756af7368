"""Usage of the attempts of jobs: each is a message of the books."""

from collections.abc import Sequence

from spanledger.stats.usage import Usage, usage_of
from spanledger.store import queries
from spanledger.store.client import Store


def usage_of_attempts(store: Store, tenant: str, message_ids: Sequence[str]) -> dict[str, Usage]:
    """By message id; those that the books do not know yet are missing."""
    rows = store.dicts(queries.sql("job_usage"), {"tenant": tenant, "message_ids": list(message_ids)})
    return {row["message_id"]: usage_of(row) for row in rows}
