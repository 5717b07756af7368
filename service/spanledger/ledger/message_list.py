"""Table message_list against table messages: the same rows in the order of time."""

from datetime import datetime
from typing import Any

from spanledger.ledger.rollups import window
from spanledger.store.client import Store
from spanledger.store.migrate import files

_MISSING = """
messages FINAL
WHERE started_at >= {start:DateTime64(9)} AND started_at < {end:DateTime64(9)}
    AND (tenant, started_at, conversation_id, message_id, version) NOT IN
    (
        SELECT tenant, started_at, conversation_id, message_id, version FROM message_list
        WHERE started_at >= {start:DateTime64(9)} AND started_at < {end:DateTime64(9)}
    )
"""


def missing(store: Store, start: datetime | None, end: datetime | None) -> list[dict[str, Any]]:
    """The messages that message_list does not have as they are, by their keys."""
    sql = f"SELECT tenant, conversation_id, message_id FROM {_MISSING}"
    return store.dicts(sql, window(start, end))


def repair(store: Store, start: datetime | None, end: datetime | None) -> None:
    """Copies them."""
    view = next(view.statement for view in files("views") if view.name == "message_list_mv")
    columns = view.split("SELECT", 1)[1].split("FROM", 1)[0]
    store.command(
        f"INSERT INTO message_list ({columns}) SELECT {columns} FROM {_MISSING}",
        window(start, end),
        settings={"insert_deduplicate": 0},
    )
