"""Named, versioned configuration in SQLite. Append-only: a change is a new version, a removal is a version too.

Configuration is not telemetry: spans record what happened, the registry records what was configured. Listeners are
notified of each change and write it to the audit trail.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spanledger.store.quota import READABLE, Quota
from spanledger.store.sqlite_files import scrub

FILE = "registry.db"
_PAGE_BYTES = 8 * 1024**2  # of bodies; a page with more ends early

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, name, version)
) STRICT, WITHOUT ROWID
"""
_COLUMNS = "tenant, kind, name, version, body, removed, created_at, created_by"
_NEWEST = (
    "tenant = ? AND kind = ? AND version ="
    " (SELECT max(version) FROM entries WHERE tenant = e.tenant AND kind = e.kind AND name = e.name)"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one named thing. `version` counts from 1; `created_by` is a key id, empty = local."""

    tenant: str
    kind: str
    name: str
    version: int
    body: Mapping[str, Any]
    removed: bool
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Change:
    """What listeners hear. `before` is None for a new name; a removal is an `after` that is `removed`."""

    before: Entry | None
    after: Entry


class Registry:
    """The entries of one data folder. Thread-safe; reads take microseconds, writes one synced commit."""

    def __init__(self, folder: Path, quota: Quota | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._quota = quota or Quota()
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}  # by tenant and kind: names, removed names
        self._counted_at = (0, 0)  # the state that they are of
        self._guard = threading.RLock()
        self._listeners: list[Callable[[Change], None]] = []
        self._db = sqlite3.connect(folder / FILE, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(_SCHEMA)

    def close(self) -> None:
        with self._guard:
            self._db.close()

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Calls `listener` after every change, on the thread that made it."""
        self._listeners.append(listener)

    def get(self, tenant: str, kind: str, name: str, version: int | None = None) -> Entry | None:
        """The newest version that is not removed, or exactly `version`."""
        if version is not None:
            return self._one("version = ?", (tenant, kind, name, version))
        newest = self._newest(tenant, kind, name)
        return None if newest is None or newest.removed else newest

    def names(self, tenant: str, kind: str) -> list[Entry]:
        """The newest version of every name that is not removed, by name."""
        sql = f"SELECT {_COLUMNS} FROM entries AS e WHERE {_NEWEST} AND removed = 0 ORDER BY name"
        return [_entry(row) for row in self._rows(sql, (tenant, kind))]

    def page(self, tenant: str, kind: str, after: str, limit: int) -> tuple[list[Entry], bool]:
        """As `names`, those behind the name `after`, at most `limit`; whether there are more."""
        sql = f"SELECT {_COLUMNS} FROM entries AS e WHERE {_NEWEST} AND removed = 0 AND name > ? ORDER BY name LIMIT ?"
        return self._page(sql, (tenant, kind, after, limit + 1), limit)

    def versions(self, tenant: str, kind: str, name: str, before: int, limit: int) -> tuple[list[Entry], bool]:
        """The versions that are no removals, newest first, those before `before` (0: from the newest on)."""
        sql = (
            f"SELECT {_COLUMNS} FROM entries WHERE tenant = ? AND kind = ? AND name = ? AND removed = 0"
            " AND version < ? ORDER BY version DESC LIMIT ?"
        )
        return self._page(sql, (tenant, kind, name, before or 1 << 62, limit + 1), limit)

    def history(self, tenant: str, kind: str, name: str) -> list[Entry]:
        """All versions, newest first."""
        where = "tenant = ? AND kind = ? AND name = ?"
        rows = self._rows(f"SELECT {_COLUMNS} FROM entries WHERE {where} ORDER BY version DESC", (tenant, kind, name))
        return [_entry(row) for row in rows]

    def everywhere(self, kind: str) -> list[Entry]:
        """As `names`, over all tenants: for what serves them all (keys, schedules)."""
        return [entry for entry in self.newest(kind) if not entry.removed]

    def newest(self, kind: str) -> list[Entry]:
        """The newest version of every name of all tenants, the removed ones too."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM entries AS e WHERE kind = ? AND version = "
            "(SELECT max(version) FROM entries WHERE tenant = e.tenant AND kind = e.kind AND name = e.name) "
            "ORDER BY tenant, name",
            (kind,),
        )
        return [_entry(row) for row in rows]

    def state(self) -> tuple[int, int]:
        """Differs from an earlier answer when anything has changed since, by this process or another."""
        (foreign,) = self._rows("PRAGMA data_version", ())[0]
        return foreign, self._db.total_changes

    def put(self, tenant: str, kind: str, name: str, body: Mapping[str, Any], by: str = "") -> Entry:
        """The entry as it now stands: a new version, or the present one if the body is the same. Raises
        QuotaExceeded."""
        with self._guard:
            before = self._newest(tenant, kind, name)
            if before is not None and not before.removed and before.body == body:
                return before
            self._make_room(before, tenant, kind, name)
            return self._append(before, tenant, kind, name, body, removed=False, by=by)

    def remove(self, tenant: str, kind: str, name: str, by: str = "") -> bool:
        """Whether there was something to remove. Its versions stay readable."""
        with self._guard:
            before = self._newest(tenant, kind, name)
            if before is None or before.removed:
                return False
            self._append(before, tenant, kind, name, before.body, removed=True, by=by)
            self._forget_removed(tenant, kind)
            return True

    def forget(self, tenant: str, kind: str, name: str, keep_newest: bool = False) -> int:
        """Takes versions off the disk, all of them or all but the newest; how many. Listeners do not hear of it."""
        newest = "AND version < (SELECT max(version) FROM entries WHERE tenant = ? AND kind = ? AND name = ?)"
        values = (tenant, kind, name)
        with self._guard:
            found = self._db.execute(
                f"DELETE FROM entries WHERE tenant = ? AND kind = ? AND name = ? {newest if keep_newest else ''}",
                values * 2 if keep_newest else values,
            )
            return found.rowcount

    def rewrite(self, tenant: str, change: Callable[[str, str, str], tuple[str, str]]) -> int:
        """Changes name and body (JSON) of all versions of a tenant in place: `change` gets kind, name and body. How
        many were changed. Listeners do not hear of it."""
        changed = 0
        with self._guard:
            rows = self._rows("SELECT kind, name, version, body FROM entries WHERE tenant = ?", (tenant,))
            for kind, name, version, body in rows:
                new = change(kind, name, body)
                if new != (name, body):
                    self._db.execute(
                        "UPDATE OR REPLACE entries SET name = ?, body = ? "
                        "WHERE tenant = ? AND kind = ? AND name = ? AND version = ?",
                        (*new, tenant, kind, name, version),
                    )
                    changed += 1
        return changed

    def scrub(self) -> None:
        """Nothing that was deleted or overwritten stays in the files."""
        with self._guard:
            scrub(self._db)

    def _append(
        self,
        before: Entry | None,
        tenant: str,
        kind: str,
        name: str,
        body: Mapping[str, Any],
        *,
        removed: bool,
        by: str,
    ) -> Entry:
        version = 1 if before is None else before.version + 1
        entry = Entry(tenant, kind, name, version, dict(body), removed, datetime.now(UTC), by)
        values = (tenant, kind, name, version, json.dumps(entry.body), int(removed), entry.created_at.isoformat(), by)
        counted = self._counted_at == self.state()
        self._db.execute(f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        if counted:
            self._recount(tenant, kind, before, removed)
        for listener in self._listeners:
            listener(Change(before, entry))
        return entry

    def _make_room(self, before: Entry | None, tenant: str, kind: str, name: str) -> None:
        """For one more version. Raises QuotaExceeded."""
        if (before is None or before.removed) and self._quota.objects_of(kind):
            self._quota.check_objects(kind, self._count(tenant, kind)[0])
        most = self._quota.versions_of(kind)
        if before is None or not most or before.version < most:
            return
        if kind not in READABLE:
            where = "tenant = ? AND kind = ? AND name = ? AND version <= ?"
            self._db.execute(f"DELETE FROM entries WHERE {where}", (tenant, kind, name, before.version - most + 1))
            return
        counted = "SELECT count(*) FROM entries WHERE tenant = ? AND kind = ? AND name = ? AND removed = 0"
        self._quota.check_versions(kind, name, self._rows(counted, (tenant, kind, name))[0][0])

    def _forget_removed(self, tenant: str, kind: str) -> None:
        """Of removed names as many are kept as there may be others; those that were removed first go."""
        allowed = self._quota.objects_of(kind)
        if allowed and self._count(tenant, kind)[1] > allowed:
            oldest = f"SELECT name FROM entries AS e WHERE {_NEWEST} AND removed = 1 ORDER BY created_at LIMIT 1"
            self.forget(tenant, kind, self._rows(oldest, (tenant, kind))[0][0])

    def _count(self, tenant: str, kind: str) -> tuple[int, int]:
        """The names that are there, and those that were removed. Counted once, then kept up to date."""
        if self._counted_at != (now := self.state()):
            self._counts.clear()
            self._counted_at = now
        found = self._counts.get((tenant, kind))
        if found is None:
            sql = f"SELECT sum(removed = 0), sum(removed = 1) FROM entries AS e WHERE {_NEWEST}"
            there, gone = self._rows(sql, (tenant, kind))[0]
            found = self._counts[tenant, kind] = there or 0, gone or 0
        return found

    def _recount(self, tenant: str, kind: str, before: Entry | None, removed: bool) -> None:
        if (found := self._counts.get((tenant, kind))) is not None:
            there, gone = found
            there += (not removed) - (before is not None and not before.removed)
            gone += removed - (before is not None and before.removed)
            self._counts[tenant, kind] = there, gone
        self._counted_at = self.state()

    def _newest(self, tenant: str, kind: str, name: str) -> Entry | None:
        return self._one("TRUE ORDER BY version DESC LIMIT 1", (tenant, kind, name))

    def _one(self, condition: str, values: tuple[Any, ...]) -> Entry | None:
        where = f"tenant = ? AND kind = ? AND name = ? AND {condition}"
        rows = self._rows(f"SELECT {_COLUMNS} FROM entries WHERE {where}", values)
        return _entry(rows[0]) if rows else None

    def _page(self, sql: str, values: tuple[Any, ...], limit: int) -> tuple[list[Entry], bool]:
        with self._guard, closing(self._db.execute(sql, values)) as cursor:
            return _some(cursor, limit)

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._guard, closing(self._db.execute(sql, values)) as cursor:
            return cursor.fetchall()


def _some(rows: Iterable[tuple[Any, ...]], limit: int) -> tuple[list[Entry], bool]:
    """The first ones, at most `limit` and not many more than a page's bytes; whether there are more."""
    found: list[Entry] = []
    size = 0
    for row in rows:
        if len(found) == limit or size > _PAGE_BYTES:
            return found, True
        found.append(_entry(row))
        size += len(row[4])
    return found, False


def _entry(row: tuple[Any, ...]) -> Entry:
    tenant, kind, name, version, body, removed, created_at, created_by = row
    return Entry(
        tenant, kind, name, version, json.loads(body), bool(removed), datetime.fromisoformat(created_at), created_by
    )
