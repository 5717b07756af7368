"""Table message_list against table messages: the same rows in the order of time."""

from typing import Any

from spanledger.ledger.scope import Scope
from spanledger.store.client import Store
from spanledger.store.migrate import files

_MISSING = """
messages FINAL
WHERE <scope>
    AND (tenant, started_at, conversation_id, message_id, version) NOT IN
    (
        SELECT tenant, started_at, conversation_id, message_id, version FROM message_list
        WHERE <scope>
    )
"""


def missing(store: Store, scope: Scope) -> list[dict[str, Any]]:
    """The messages that message_list does not have as they are, by their keys."""
    sql = f"SELECT tenant, conversation_id, message_id FROM {_missing_of(scope)}"
    return store.dicts(sql, scope.params)


def repair(store: Store, scope: Scope) -> None:
    """Copies them."""
    view = next(view.statement for view in files("views") if view.name == "message_list_mv")
    columns = view.split("SELECT", 1)[1].split("FROM", 1)[0]
    store.command(
        f"INSERT INTO message_list ({columns}) SELECT {columns} FROM {_missing_of(scope)}",
        scope.params,
        settings={"insert_deduplicate": 0},
    )


def _missing_of(scope: Scope) -> str:
    return _MISSING.replace("<scope>", scope.spans())
