"""The tables that are open to people's statements, as the main engine has them, and their definitions in the process.

A table is open when it has a tenant column, or when it is one of the few that belong to no tenant. The process gets
tables with the columns that a statement needs; a statement that reads any other column fails there.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from spanledger.store.client import Store

TENANT_COLUMNS = ("tenant", "Tenant")
_OF_NO_TENANT = frozenset({"price_books", "price_activations", "schema_migrations"})
_TIME_COLUMNS = ("started_at", "Timestamp", "TimeUnix", "evaluated_at", "minute", "hour", "received_at", "created_at")
_WORD = re.compile(r"\w+")
_TARGET = re.compile(r"\sTO (?:`?\w+`?\.)?`?(\w+)`?")
_ARGUMENTS_END = re.compile(r"\s(?:PARTITION BY|PRIMARY KEY|ORDER BY|TTL|SETTINGS)\s")
_REPLICATED = re.compile(r"Replicated(\w+)(?:\('[^']*', '[^']*'(?:, )?)?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    alias_of: str  # the expression of an ALIAS column, else empty

    @property
    def first(self) -> str:
        """What an identifier begins with that reads it: `Events` for `Events.Name`."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Table:
    """A table with rows of its own."""

    name: str
    columns: tuple[Column, ...]
    engine: str  # with its arguments
    sorting_key: str

    @cached_property
    def tenant_column(self) -> str:
        """Empty for a table that belongs to no tenant."""
        return next((column.name for column in self.columns if column.name in TENANT_COLUMNS), "")

    @cached_property
    def time_column(self) -> str:
        """By which rows can be narrowed; empty where there is none."""
        names = {column.name: column.type for column in self.columns}
        return next((name for name in _TIME_COLUMNS if "DateTime" in names.get(name, "")), "")

    def needed(self, names: frozenset[str], every_column: bool) -> tuple[str, ...]:
        """The stored columns that a statement with these identifiers reads, with those that the engine itself needs."""
        stored = [column for column in self.columns if not column.alias_of]
        if every_column:
            return tuple(column.name for column in stored)
        named = set(names)
        for column in self.columns:
            if column.alias_of and column.name in names:
                named |= set(_WORD.findall(column.alias_of))
        named |= set(_WORD.findall(f"{self.engine} {self.sorting_key}"))
        found = tuple(column.name for column in stored if column.first in named or column.name in named)
        return found or (stored[0].name,)

    def definition(self, database: str, columns: Iterable[str]) -> str:
        """CREATE TABLE with these columns, and the aliases that they suffice for."""
        kept = set(columns)
        stored = {column.name for column in self.columns if not column.alias_of}
        lines = [
            f"{_quoted(column.name)} {column.type}" + (f" ALIAS {column.alias_of}" if column.alias_of else "")
            for column in self.columns
            if (column.name in kept if not column.alias_of else _suffice(column.alias_of, stored, kept))
        ]
        return (
            f"CREATE TABLE {_quoted(database)}.{_quoted(self.name)} ({', '.join(lines)}) ENGINE = {self.engine}"
            f" ORDER BY ({self.sorting_key}) SETTINGS allow_nullable_key = 1, allow_suspicious_indices = 1"
        )


@dataclass(frozen=True)
class View:
    name: str
    select: str

    def definition(self, database: str) -> str:
        return f"CREATE VIEW {_quoted(database)}.{_quoted(self.name)} AS {self.select}"


@dataclass
class Schema:
    database: str
    tables: dict[str, Table] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)


def read(store: Store, every_table: bool = False) -> Schema:
    """What is open of a store; with `every_table` what belongs to no tenant too. Raises StoreError."""
    schema = Schema(store.database)
    columns: dict[str, list[Column]] = {}
    for table, *column in store.query(
        "SELECT table, name, type, if(default_kind = 'ALIAS', default_expression, '') FROM system.columns"
        " WHERE database = currentDatabase() ORDER BY table, position"
    ):
        columns.setdefault(table, []).append(Column(*column))
    for name, engine, full, key, select, statement in store.query(
        "SELECT name, engine, engine_full, sorting_key, as_select, create_table_query FROM system.tables"
        " WHERE database = currentDatabase() ORDER BY name"
    ):
        has_tenant = any(column.name in TENANT_COLUMNS for column in columns.get(name, ()))
        if engine == "View":
            schema.views[name] = View(name, select)
        elif engine == "MaterializedView" and (target := _TARGET.search(statement)):
            schema.views[name] = View(name, f"SELECT * FROM {_quoted(store.database)}.{_quoted(target[1])}")
        elif has_tenant or every_table or name in _OF_NO_TENANT:
            schema.tables[name] = Table(name, tuple(columns[name]), _engine(engine, full), key)
    return schema


def _engine(name: str, full: str) -> str:
    """A local engine that treats rows alike."""
    if not name.endswith("MergeTree"):
        return "MergeTree"
    plain = _ARGUMENTS_END.split(full, maxsplit=1)[0]
    replicated = _REPLICATED.fullmatch(plain)
    if not replicated:
        return plain
    rest = replicated[2]
    return replicated[1] + (f"({rest}" if rest and not rest.startswith("(") else rest)


def _suffice(expression: str, stored: set[str], kept: set[str]) -> bool:
    return set(_WORD.findall(expression)) & stored <= kept


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
