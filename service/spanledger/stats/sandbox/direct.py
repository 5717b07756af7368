"""Statements on the main engine itself, for the operator of the machine, who may read all rows.

The tenant here is a convenience, not a barrier: a condition that the engine adds to every table stands beside those of
the statement, and a statement can have them evaluated in any order.
"""

from spanledger.errors import StoreError
from spanledger.stats.sandbox.answers import LIMITS, MAX_BYTES, PARSE, checked_format, error_of
from spanledger.stats.sandbox.inspection import inspect, one_statement
from spanledger.stats.sandbox.schema import TENANT_COLUMNS
from spanledger.store.client import Store


class Direct:
    """For the operator alone; shows the rows of one tenant, or of all (None). Thread-safe."""

    def __init__(self, store: Store, tenant: str | None) -> None:
        filters = {} if tenant is None else {"additional_table_filters": _tenant_filters(store, tenant)}
        self._database = store.database
        self._store = store.limited({**LIMITS, **filters, "readonly": 1})

    def run(self, query: str, fmt: str = "json") -> bytes:
        """The answer in one of `FORMATS`. Raises BadRequest, StoreError."""
        engine_format, statement = checked_format(fmt), one_statement(query)
        tree = self._read(f"{PARSE}{statement}", "TSVRaw").decode("utf-8", "replace")
        inspect(tree, statement, frozenset({self._database.lower()}))
        answer = self._read(statement, engine_format)
        if len(answer) > MAX_BYTES:
            raise error_of("(TOO_MANY_ROWS_OR_BYTES)")
        return answer

    def close(self) -> None:
        self._store.close()

    def _read(self, statement: str, fmt: str) -> bytes:
        try:
            return self._store.raw(statement, fmt)
        except StoreError as exc:
            if "Code: " not in str(exc):
                raise
            raise error_of(str(exc)) from exc


def _tenant_filters(store: Store, tenant: str) -> str:
    """The setting by which only this tenant's rows leave any table that has a tenant column."""
    rows = store.query(
        "SELECT table, name FROM system.columns"
        " WHERE database = currentDatabase() AND name IN {names:Array(String)} ORDER BY table",
        {"names": list(TENANT_COLUMNS)},
    )
    owner = _quote(tenant)
    quoted = (f"{_quote(table)}: {_quote(f'{column} = {owner}')}" for table, column in rows)
    return "{" + ", ".join(quoted) + "}"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
