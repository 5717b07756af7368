"""Applies the numbered SQL files once and in order, then (re)creates the views.

`clickhouse/migrations/NNNN_name.sql` holds one statement each, append-only. `clickhouse/views/*.sql` holds the views,
materialized or not: they carry no data, so a changed definition replaces the old one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spanledger import resources
from spanledger.errors import SchemaError, StoreError
from spanledger.store import layout
from spanledger.store.client import Store
from spanledger.store.layout import Layout

_BOOKKEEPING = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3),
    state LowCardinality(String)
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY (name, state)
"""


@dataclass(frozen=True)
class SqlFile:
    """One file: `name` without suffix, its statement, and `applied` as the store knows it."""

    name: str
    statement: str
    applied: bool = False

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.statement.encode()).hexdigest()


def files(kind: str, base: Path | None = None) -> list[SqlFile]:
    """The files of `clickhouse/<kind>` in order of their names."""
    folder = (base or resources.folder("clickhouse")) / kind
    return [SqlFile(path.stem, path.read_text()) for path in sorted(folder.glob("*.sql"))]


def status(store: Store, base: Path | None = None) -> list[SqlFile]:
    """All migrations with what is applied; raises SchemaError when the schema does not fit this program."""
    _keep_books(store)
    rows = store.query(
        "SELECT name, argMax(checksum, applied_at), groupArray(state) FROM schema_migrations GROUP BY name"
    )
    known = {name: (checksum, set(states)) for name, checksum, states in rows}
    migrations = files("migrations", base)
    names = {m.name for m in migrations}
    newer = sorted(n for n in known if not n.startswith("view:") and n not in names)
    if newer:
        raise SchemaError(
            f"the data was migrated by a newer version (it has {newer[-1]}, which this version does not know); "
            "upgrade spanledger or use another data folder"
        )
    result = []
    for migration in migrations:
        if migration.name in known:
            checksum, states = known[migration.name]
            if "done" in states and checksum != migration.checksum:
                raise SchemaError(f"migration {migration.name} was changed after it had been applied")
        applied = migration.name in known and "done" in known[migration.name][1]
        result.append(SqlFile(migration.name, migration.statement, applied))
    return result


def _keep_books(store: Store) -> None:
    """Who may not create tables can still see that there is nothing to create."""
    known = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
    if not store.scalar(known):
        _apply(store, _BOOKKEEPING, layout.layout_of(store))


def _apply(store: Store, statement: str, wanted: Layout) -> None:
    """Runs one file's statement. Raises SchemaError where the user must not."""
    try:
        for sql in (layout.adapt(statement, wanted), *layout.distributed(statement, wanted)):
            store.command(sql)
    except StoreError as exc:
        if "ACCESS_DENIED" not in str(exc) and "Code: 497" not in str(exc):
            raise
        raise SchemaError(
            "the schema is not up to date and this ClickHouse user must not change it; "
            f"run `spanledger migrate --clickhouse-url …` as the administrator first ({exc})"
        ) from exc


def migrate(store: Store, say: Callable[[str], None] = lambda _: None, base: Path | None = None) -> int:
    """Brings the schema up to date; returns how many files were applied.

    A statement that was interrupted runs again: each file is written so that it can (IF NOT EXISTS).
    Raises SchemaError, StoreError.
    """
    pending = [migration for migration in status(store, base) if not migration.applied]
    views = _stale_views(store, base)
    if not pending and not views:
        return 0
    wanted = layout.layout_of(store)
    for migration in pending:
        say(f"migrating {migration.name}")
        _apply(store, migration.statement, wanted)
        _record(store, migration.name, migration.checksum)
    for view in views:
        say(f"creating view {view.name}")
        if view.applied:
            _apply(store, f"DROP VIEW {view.name}{wanted.on_cluster}", wanted)
        _apply(store, view.statement, wanted)
        _record(store, "view:" + view.name, view.checksum)
    return len(pending) + len(views)


def _stale_views(store: Store, base: Path | None) -> list[SqlFile]:
    """The views that are missing or have changed; `applied` where an older one stands in the way."""
    rows = store.query(
        "SELECT name, argMax(checksum, applied_at) FROM schema_migrations WHERE startsWith(name, 'view:') GROUP BY name"
    )
    known: dict[str, str] = dict(rows)
    existing = {
        row[0]
        for row in store.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'View')"
        )
    }
    return [
        SqlFile(view.name, view.statement, applied=view.name in existing)
        for view in files("views", base)
        if known.get("view:" + view.name) != view.checksum or view.name not in existing
    ]


def _record(store: Store, name: str, checksum: str) -> None:
    store.insert("schema_migrations", ["name", "checksum", "state"], [[name, checksum, "done"]])


def ready(store: Store, base: Path | None = None) -> bool:
    """Whether every migration is applied."""
    return all(m.applied for m in status(store, base))
