"""Changes rows of ClickHouse in place, and waits for it.

A statement names the rows of table erasure_work, never an id: its text stays in the files of the mutation and in the
server's logs. Where erasure_work is empty, after a restart in between, a statement changes nothing.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from spanledger.errors import EngineError, StoreError
from spanledger.store.client import Store

WORK_COLUMNS = ("run_id", "kind", "value", "other")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.2
_THERE = "{run:String} IN (SELECT run_id FROM erasure_work)"
_UNDER_WAY = """
SELECT latest_fail_reason FROM system.mutations
WHERE database = currentDatabase() AND table = {table:String} AND NOT is_done
"""
_STOP = """
KILL MUTATION WHERE database = currentDatabase() AND table = {table:String} AND NOT is_done AND latest_fail_reason != ''
"""
_BEGINS_ANEW = "(ABORTED)"  # something else broke it off; the engine does it again


def values(kind: str) -> str:
    """The values of a kind as a sub-query."""
    return f"(SELECT value FROM erasure_work WHERE run_id = {{run:String}} AND kind = '{kind}')"


def pairs(kind: str) -> str:
    return f"(SELECT value, other FROM erasure_work WHERE run_id = {{run:String}} AND kind = '{kind}')"


def value(kind: str, column: str = "value") -> str:
    """The only value of a kind as an expression; empty where there is none."""
    return f"(SELECT any({column}) FROM erasure_work WHERE run_id = {{run:String}} AND kind = '{kind}')"


def list_of(kind: str) -> str:
    """The values of a kind as an array."""
    return f"(SELECT groupArray(value) FROM erasure_work WHERE run_id = {{run:String}} AND kind = '{kind}')"


class Mutations:
    """Of one run of an erasure, over the rows of one tenant. `changed` counts rows by table. `tables` are all that were
    looked into: where no row is left to change, a merge may just have dropped it, and its part is still on the disk.
    """

    def __init__(self, store: Store, tenant: str, run_id: str) -> None:
        self.store = store
        self.params: dict[str, Any] = {"tenant": tenant, "run": run_id, "seal_secret": store.seal_secret}
        self.changed: dict[str, int] = {}
        self.tables: set[str] = set()

    def note(self, kind: str, rows: Sequence[tuple[str, str]]) -> None:
        """Writes values into erasure_work."""
        self.store.insert("erasure_work", WORK_COLUMNS, [(self.params["run"], kind, *row) for row in rows])

    def forget(self, kind: str = "") -> None:
        """Takes the values of a kind, or all of the run, out of erasure_work."""
        only = " AND kind = {kind:String}" if kind else ""
        self.store.command(
            f"ALTER TABLE erasure_work DELETE WHERE run_id = {{run:String}}{only}", {**self.params, "kind": kind}
        )

    def update(self, table: str, changes: Mapping[str, str], condition: str, tenant: str = "tenant") -> int:
        """Sets columns of the rows that meet the condition; how many those are."""
        sets = ", ".join(f"`{column}` = {expression}" for column, expression in changes.items())
        return self._mutate(table, f"UPDATE {sets}", condition, tenant)

    def delete(self, table: str, condition: str, tenant: str = "tenant") -> int:
        return self._mutate(table, "DELETE", condition, tenant)

    def copy(
        self, table: str, changes: Mapping[str, str], condition: str, tenant: str = "tenant", final: str = ""
    ) -> int:
        """Writes the rows that meet the condition again with other values, for columns of a table's key."""
        where = f"{tenant} = {{tenant:String}} AND {condition}"
        count = self.count(table, condition, tenant)
        if not count:
            return 0
        replaced = ", ".join(f"{expression} AS `{column}`" for column, expression in changes.items())
        self.store.command(
            f"INSERT INTO {table} SELECT * REPLACE ({replaced}) FROM (SELECT * FROM {table} {final} WHERE {where})",
            self.params,
            settings={"insert_deduplicate": 0, "prefer_column_name_to_alias": 1},
        )
        return count

    def count(self, table: str, condition: str, tenant: str = "tenant") -> int:
        self.tables.add(table)
        where = f"{tenant} = {{tenant:String}} AND ({condition})"
        return int(self.store.scalar(f"SELECT count() FROM {table} WHERE {where}", self.params) or 0)

    def _mutate(self, table: str, what: str, condition: str, tenant: str) -> int:
        count = self.count(table, condition, tenant)
        if not count:
            return 0
        where = f"{tenant} = {{tenant:String}} AND {_THERE} AND ({condition})"
        self.store.command(f"ALTER TABLE {table} {what} WHERE {where}", self.params, settings={"mutations_sync": 0})
        finished(self.store, table)
        self.changed[table] = self.changed.get(table, 0) + count
        return count


def finished(store: Store, table: str) -> None:
    """Waits until no mutation of a table is under way. Raises StoreError for one that fails, which is given up."""
    pause = _FIRST_PAUSE_S
    while open_ones := store.query(_UNDER_WAY, {"table": table}):
        if failed := [reason for (reason,) in open_ones if reason and _BEGINS_ANEW not in reason]:
            with contextlib.suppress(StoreError):  # not every user may
                store.command(_STOP, {"table": table})
            raise EngineError(f"rows of {table} could not be changed: {failed[0][:300]}")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
