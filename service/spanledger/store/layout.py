"""Adapts the schema files to the configuration of a ClickHouse server.

The embedded engine uses them unchanged. On a server, views run with the rights of their definer, so that a user who may
only insert into `otel_*` needs no other rights. A macro `spanledger_cluster` names a cluster of `remote_servers`:
then database `<name>_all` gets a Distributed table over every local one, by trace id, so that all spans of a trace lie
on one shard. What belongs to no tenant (price books, scratch) it has as tables of its own, so that one can settle
through it as through a single server. Where the server has a Keeper, statements run ON CLUSTER and tables replicate.
"""

import re
from dataclasses import dataclass

from spanledger.store.client import Store

_TABLE = re.compile(r"\bCREATE TABLE IF NOT EXISTS ([\w.]+)")
_ALTER = re.compile(r"\bALTER TABLE (\w+)")
_ORDER = re.compile(r",((?:\s|--[^\n]*\n)*)MODIFY ORDER BY \([^)]*\)")
_INDEX = re.compile(r"\b(?:ADD|MATERIALIZE) INDEX ")
_VIEW = re.compile(r"\bCREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+)")
_PLAIN_VIEW = re.compile(r"\bCREATE VIEW IF NOT EXISTS (\w+)")
_INSERT = re.compile(r"^INSERT INTO (\w+)", re.MULTILINE)
_FROM = re.compile(r"^FROM (\w+)$", re.MULTILINE)
_ENGINE = re.compile(r"\bENGINE = (\w*MergeTree)\b(?:\((.*)\))?")
_REPLICA = "'/clickhouse/tables/{cluster}/{{shard}}/{{database}}/{{table}}', '{{replica}}'"
_ALL = "_all"
_READ = frozenset({"schema_migrations"})  # says what a shard's own database holds; over all of them it is only read
# A newer row must meet the one it replaces.
_KEYS = {
    "messages": "cityHash64(tenant, conversation_id, message_id)",
    "documents": "cityHash64(tenant, document_id)",
    "document_chunks": "cityHash64(tenant, document_id)",
}


@dataclass(frozen=True)
class Layout:
    """`cluster` is empty where there is none; `keeper`: statements run ON CLUSTER and tables replicate."""

    database: str
    server: bool = False
    cluster: str = ""
    keeper: bool = False

    @property
    def all_database(self) -> str:
        return self.database + _ALL

    @property
    def on_cluster(self) -> str:
        return f" ON CLUSTER '{self.cluster}'" if self.keeper else ""


def layout_of(store: Store) -> Layout:
    """What the server says of itself. Raises StoreError."""
    if store.embedded:
        return Layout(store.database)
    cluster = store.scalar("SELECT substitution FROM system.macros WHERE macro = 'spanledger_cluster'") or ""
    keeper = store.scalar("SELECT count() FROM system.tables WHERE database = 'system' AND name = 'zookeeper'")
    return Layout(store.database, server=True, cluster=str(cluster), keeper=bool(cluster and keeper))


def table_of(statement: str) -> str:
    """The table that a file creates; '' for others."""
    found = _TABLE.search(statement)
    return found[1] if found else ""


def is_over_all(store: Store) -> bool:
    """Whether this is the database over all shards: it has no schema of its own, theirs is what counts."""
    return not store.embedded and bool(
        store.scalar(
            "SELECT count() FROM system.tables "
            "WHERE database = currentDatabase() AND name = 'ledger' AND engine = 'Distributed'"
        )
    )


def adapt(statement: str, layout: Layout) -> str:
    """The statement of one file for this layout; on the embedded engine the file as it stands."""
    if not layout.server:
        return statement
    definer = " DEFINER = CURRENT_USER SQL SECURITY DEFINER"
    statement = _VIEW.sub(rf"CREATE MATERIALIZED VIEW IF NOT EXISTS \1{layout.on_cluster} TO \2{definer}", statement)
    if not layout.keeper:
        return statement
    if _INSERT.search(statement):  # runs on one server, for all of them
        statement = _INSERT.sub(rf"INSERT INTO {layout.all_database}.\1", statement)
        return _FROM.sub(rf"FROM {layout.all_database}.\1", statement)
    statement = _PLAIN_VIEW.sub(rf"CREATE VIEW IF NOT EXISTS \1{layout.on_cluster}", statement)
    statement = _TABLE.sub(rf"CREATE TABLE IF NOT EXISTS \1{layout.on_cluster}", statement)
    statement = _ALTER.sub(rf"ALTER TABLE \1{layout.on_cluster}", statement)
    statement = _ENGINE.sub(lambda found: _replicated(found, layout), statement)
    return statement.replace("non_replicated_deduplication_window", "replicated_deduplication_window")


def _replicated(engine: re.Match[str], layout: Layout) -> str:
    arguments = [_REPLICA.format(cluster=layout.cluster)] + ([engine[2]] if engine[2] else [])
    return f"ENGINE = Replicated{engine[1]}({', '.join(arguments)})"


def distributed(statement: str, layout: Layout) -> list[str]:
    """What puts the table or plain view of a file into the database over all shards; nothing without a cluster."""
    view = _PLAIN_VIEW.search(statement)
    found = _TABLE.search(statement) or view
    if "MODIFY SETTING" in statement:  # of how the local tables store their parts
        return []
    if layout.cluster and _ALTER.search(statement):
        if _INDEX.search(statement):
            return []  # a Distributed table has columns, no indexes
        columns = _ORDER.sub(r"\1", statement)  # … and no order
        return [_ALTER.sub(rf"ALTER TABLE {layout.all_database}.\1{layout.on_cluster}", columns)]
    if not layout.cluster or found is None:
        return []
    database = f"CREATE DATABASE IF NOT EXISTS {layout.all_database}{layout.on_cluster}"
    table = found[1]
    of_a_tenant = view or re.search(r"^\s*tenant ", statement, re.MULTILINE | re.IGNORECASE)
    if table not in _READ and (not of_a_tenant or "ENGINE = Memory" in statement):
        own = _TABLE.sub(rf"CREATE TABLE IF NOT EXISTS {layout.all_database}.\1", statement)
        return [database, adapt(own, layout)]
    target = f"'{layout.cluster}', '{layout.database}', '{table}', {_KEYS.get(table) or _sharding_key(statement)}"
    return [
        database,
        f"CREATE TABLE IF NOT EXISTS {layout.all_database}.{table}{layout.on_cluster} "
        f"AS {layout.database}.{table} ENGINE = Distributed({target})",
    ]


def _sharding_key(statement: str) -> str:
    """The trace, so that it lies on one shard whole; what has none lies anywhere."""
    for column in ("TraceId", "trace_id"):
        if re.search(rf"^\s*{column} String", statement, re.MULTILINE):
            return f"if({column} = '', rand(), cityHash64({column}))"
    return "rand()"
