"""Copies of a tenant's rows for the process: only our own conditions are evaluated on the main engine."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from spanledger.errors import TooLarge
from spanledger.stats.sandbox.schema import Table
from spanledger.stats.times import Window, moment
from spanledger.store.client import Store

MAX_ROWS = 5_000_000
MAX_BYTES = 2 * 1024**3
_SETTINGS = {"max_threads": 2, "max_execution_time": 60, "max_memory_usage": 1024**3}
_BUCKETS = {"hour": timedelta(hours=1), "minute": timedelta(minutes=1)}


class SourceTooLarge(TooLarge):
    """The rows that a statement needs are too many to be copied."""


@dataclass(frozen=True)
class Bounds:
    """What may be copied for one statement."""

    rows: int = MAX_ROWS
    bytes: int = MAX_BYTES


DEFAULT_BOUNDS = Bounds()


class Budget:
    """What may still be copied for one statement."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._rows, self._bytes = bounds.rows, bounds.bytes

    def take_rows(self, table: str, rows: int) -> None:
        """Raises SourceTooLarge."""
        self._rows -= rows
        if self._rows < 0:
            raise self._too_large(table, f"{rows:,} rows")

    def take_bytes(self, table: str, count: int) -> None:
        """Raises SourceTooLarge."""
        self._bytes -= count
        if self._bytes < 0:
            raise self._too_large(table, f"more than {self._bounds.bytes >> 20} MiB")

    def _too_large(self, table: str, amount: str) -> SourceTooLarge:
        return SourceTooLarge(
            f"the query needs {amount} of table {table}; at most {self._bounds.rows:,} rows and"
            f" {self._bounds.bytes >> 20} MiB can be read at once: narrow the time with `from` and `to`, or name fewer"
            " columns"
        )


class Source:
    """The rows of one tenant, or of all (None). Thread-safe."""

    def __init__(self, store: Store, tenant: str | None) -> None:
        self._store = store.limited(_SETTINGS)
        self._tenant = tenant
        # Where the rows of other shards are read too, no part here says whether they have changed.
        self._parts_tell = store.embedded
        self._database = store.all_shards

    def close(self) -> None:
        self._store.close()

    def states(self, tables: list[str]) -> dict[str, str]:
        """A state of each table that changes with its rows; tables without a known state are left out."""
        if not self._parts_tell or not tables:
            return {}
        rows = self._store.query(
            "SELECT table, toString(sum(cityHash64(name))) || '-' || toString(count()) FROM system.parts"
            " WHERE database = {database:String} AND active AND table IN {tables:Array(String)} GROUP BY table",
            {"database": self._database, "tables": tables},
        )
        return dict.fromkeys(tables, "empty") | dict(rows)

    def rows(self, table: Table, window: Window) -> int:
        where, params = self._where(table, window)
        return int(self._store.scalar(f"SELECT count() FROM {self._name(table)}{where}", params) or 0)

    def copy(self, table: Table, columns: tuple[str, ...], window: Window, file: Path, budget: Budget) -> None:
        """Writes the columns to a file in the format Native. Raises SourceTooLarge, StoreError."""
        where, params = self._where(table, window)
        names = ", ".join(f"`{name}`" for name in columns)
        sql = f"SELECT {names} FROM {self._name(table)}{where}"
        with file.open("wb") as out, self._store.stream(sql, "Native", params) as pieces:
            for piece in pieces:
                budget.take_bytes(table.name, len(piece))
                out.write(piece)

    def _name(self, table: Table) -> str:
        return f"`{self._database}`.`{table.name}`"

    def _where(self, table: Table, window: Window) -> tuple[str, dict[str, Any]]:
        conditions: list[str] = []
        params: dict[str, Any] = {}
        if table.tenant_column and self._tenant is not None:
            conditions.append(f"`{table.tenant_column}` = {{tenant:String}}")
            params["tenant"] = self._tenant
        column = table.time_column
        start, end = moment(window.start), moment(window.end)
        if column and start is not None:
            conditions.append(f"`{column}` > {{before:DateTime64(6, 'UTC')}}")
            params["before"] = start - _BUCKETS.get(column, timedelta(microseconds=1))  # a bucket that it cuts is kept
        if column and end is not None:
            conditions.append(f"`{column}` < {{end:DateTime64(6, 'UTC')}}")
            params["end"] = end
        return (" WHERE " + " AND ".join(conditions) if conditions else ""), params
