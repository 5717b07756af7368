"""Applies the numbered SQL files once and in order, then (re)creates the views.

`clickhouse/migrations/NNNN_name.sql` holds one statement each, append-only. `clickhouse/views/*.sql` holds the views,
materialized or not: they carry no data, so a changed definition replaces the old one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from spanledger import resources
from spanledger.errors import SchemaError, StoreError
from spanledger.store import layout
from spanledger.store.client import Rows, Store
from spanledger.store.layout import Layout
from spanledger.store.refusals import with_fix

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

_ON_EVERY_SHARD = "run `spanledger migrate --clickhouse-url …` as the administrator on every shard's own database"
_KNOWN = "SELECT name, argMax(checksum, applied_at), groupArray(state) FROM schema_migrations GROUP BY name"
# Files that every shard has applied. (With a Keeper, one replica records them for all.)
_KNOWN_EVERYWHERE = f"{_KNOWN} HAVING uniqExact(_shard_num) = (SELECT uniqExact(_shard_num) FROM schema_migrations)"


@dataclass(frozen=True)
class SqlFile:
    """One file: `name` without suffix, its statement, and `applied` as recorded in the store."""

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
    known = {name: (checksum, set(states)) for name, checksum, states in _known(store)}
    migrations = files("migrations", base)
    reworded = yaml.safe_load((resources.folder("clickhouse") / "reworded.yaml").read_text())
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
            if "done" in states and checksum not in (migration.checksum, reworded.get(migration.name)):
                raise SchemaError(
                    f"the data has another migration {migration.name} than this version: a development version from "
                    "before 0.1.0 made it; use another data folder, and send the spans again (docs/upgrade.md)"
                )
        applied = migration.name in known and "done" in known[migration.name][1]
        result.append(SqlFile(migration.name, migration.statement, applied))
    return result


def _known(store: Store) -> Rows:
    """Name, checksum and states of whatever is applied."""
    try:
        if not layout.is_over_all(store):
            _keep_books(store)
            return store.query(_KNOWN)
        return store.query(_KNOWN_EVERYWHERE)
    except StoreError as exc:
        if "UNKNOWN_TABLE" in str(exc):
            raise SchemaError(f"a shard has no schema; {_ON_EVERY_SHARD} ({exc})") from exc
        if "ACCESS_DENIED" in str(exc) and not isinstance(exc, SchemaError):
            raise SchemaError(with_fix(str(exc))) from exc
        raise


def _keep_books(store: Store) -> None:
    """Who may not create tables can still see that there is nothing to create."""
    wanted = layout.layout_of(store)
    places = [wanted.database, *([wanted.all_database] if wanted.cluster else [])]
    kept = "SELECT count() FROM system.tables WHERE database IN {places:Array(String)} AND name = 'schema_migrations'"
    if store.scalar(kept, {"places": places}) < len(places):
        _apply(store, _BOOKKEEPING, wanted)


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


def pending(store: Store, base: Path | None = None) -> int:
    """How many files `migrate` would apply."""
    missing = sum(not migration.applied for migration in status(store, base))
    return missing + (0 if layout.is_over_all(store) else len(_stale_views(store, base)))


def migrate(store: Store, say: Callable[[str], None] = lambda _: None, base: Path | None = None) -> int:
    """Brings the schema up to date; returns how many files were applied.

    A statement that was interrupted runs again: each file is written so that it can (IF NOT EXISTS). Over all shards
    of a cluster nothing is applied: the schema is that of each shard. Raises SchemaError, StoreError.
    """
    found = status(store, base)
    pending = [migration for migration in found if not migration.applied]
    if layout.is_over_all(store):
        if lacking := pending + _unknown_views(store, base):
            raise SchemaError(f"{lacking[0].name} is not applied on every shard; {_ON_EVERY_SHARD}")
        return 0
    _expect_tables(store, found)
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


def prepare(store: Store, say: Callable[[str], None]) -> None:
    """`migrate` for a process that starts: a new schema is announced in one line, changes in a line each."""
    if any(migration.applied for migration in status(store)):
        migrate(store, say)
    else:
        say("creating the schema")
        migrate(store)


def _expect_tables(store: Store, migrations: list[SqlFile]) -> None:
    """Checks that applied objects exist. Raises SchemaError if one was dropped by hand."""
    rows = store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    there = {name for (name,) in rows}
    for migration in migrations:
        table = layout.table_of(migration.statement)
        if migration.applied and table and table not in there:
            raise SchemaError(
                f"table {table} is missing, which {migration.name} had made: restore it from a backup "
                f"(docs/operations.md); or, to go on with an empty one, as the administrator: DELETE FROM "
                f"schema_migrations WHERE name IN (every migration that names {table}), then `spanledger migrate`"
            )


def _unknown_views(store: Store, base: Path | None) -> list[SqlFile]:
    """The views that were never made as they are now."""
    known = {name: checksum for name, checksum, _ in _known(store)}
    return [view for view in files("views", base) if known.get("view:" + view.name) != view.checksum]


def _stale_views(store: Store, base: Path | None) -> list[SqlFile]:
    """The views that are missing or have changed; `applied` where an older one stands in the way."""
    unknown = {view.name for view in _unknown_views(store, base)}
    existing = {
        row[0]
        for row in store.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'View')"
        )
    }
    return [
        SqlFile(view.name, view.statement, applied=view.name in existing)
        for view in files("views", base)
        if view.name in unknown or view.name not in existing
    ]


def _record(store: Store, name: str, checksum: str) -> None:
    store.insert("schema_migrations", ["name", "checksum", "state"], [[name, checksum, "done"]])


def ready(store: Store, base: Path | None = None) -> bool:
    """Whether every migration is applied."""
    return all(m.applied for m in status(store, base))
