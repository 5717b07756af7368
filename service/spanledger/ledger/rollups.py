"""Compares the rollups with the ledger and posts the differences.

The expected content of a rollup is the SELECT of its view over the ledger: the SQL files under clickhouse/views are the
only definition.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from spanledger.books.entries import DIMS, MEASURES, Book
from spanledger.ledger.scope import EARLIEST, END, Scope
from spanledger.store.client import Store
from spanledger.store.migrate import files

NAMES = (
    *("message_usage", "conversation_usage", "user_usage_1h", "usage_1m", "user_usage_1d", "usage_1h"),
    *("calls_by_time", "message_times", "messages_by_user"),
)
_TIME_COLUMN = {
    "user_usage_1h": ("hour", 3600),
    "usage_1m": ("minute", 60),
    "user_usage_1d": ("day", 86400),
    "usage_1h": ("hour", 3600),
    "calls_by_time": ("started_at", 1),
    "message_times": ("started_at", 1),
    "messages_by_user": ("started_at", 1),
}
LATEST = datetime(2262, 1, 1, tzinfo=UTC)

_KINDS = frozenset({"call", "tool", "message"})

Row = tuple[dict[str, Any], dict[str, Any]]  # key, amounts to add


def window(start: datetime | None, end: datetime | None) -> dict[str, datetime]:
    """Bound parameters `start` and `end` of [start, end)."""
    return {"start": start or EARLIEST, "end": end or END}


@dataclass(frozen=True)
class Rollup:
    """One table: its key columns, what it sums and the SELECT that its view runs over `{source}`. `kinds`: of the
    ledger's entries that it concerns."""

    name: str
    keys: tuple[str, ...]
    select: str
    measures: tuple[str, ...]
    kinds: frozenset[str]

    def covers(self, scope: Scope) -> bool:
        """Whether its rows have the column that the scope selects by."""
        return not scope.column or scope.column in self.keys

    def differences(self, store: Store, scope: Scope) -> Iterator[Row]:
        """What must be added to the rollup, by key; only keys that the scope touches."""
        expected, found, params = self._sides(scope)
        keys, sums = ", ".join(self.keys), ", ".join(f"sum(d.{m}) AS {m}" for m in self.measures)
        # Python's datetime has no nanoseconds: such times are passed as numbers.
        as_numbers = {"started_at": "toUnixTimestamp64Nano(d.started_at) AS started_at_ns"}
        key_columns = ", ".join(as_numbers.get(key, key) for key in self.keys)
        sql = f"""
            SELECT {key_columns}, {sums}
            FROM (SELECT {keys}, {", ".join(self.measures)} FROM ({expected})
                UNION ALL SELECT {keys}, {", ".join(f"-{m}" for m in self.measures)} FROM {found}) AS d
            GROUP BY {keys}
            HAVING {" OR ".join(f"{m} != 0" for m in self.measures)}
            ORDER BY {keys}
        """
        for row in store.dicts(sql, params):
            key = {k: row["started_at_ns" if k == "started_at" else k] for k in self.keys}
            yield key, {m: row[m] for m in self.measures if row[m]}

    def count(self, store: Store, scope: Scope) -> int:
        """How many keys were compared."""
        expected, _, params = self._sides(scope)
        return int(store.scalar(f"SELECT count() FROM ({expected})", params) or 0)

    def post(self, store: Store, rows: Sequence[Row]) -> None:
        """Adds differences to the rollup."""
        columns = [*self.keys, *self.measures]
        values = [[*key.values(), *(amounts.get(m, 0) for m in self.measures)] for key, amounts in rows]
        store.insert(self.name, columns, values, settings={"insert_deduplication_token": f"repair-{uuid.uuid4().hex}"})

    def equal_by_bucket(self, store: Store) -> bool:
        """A quick comparison of the whole: sums per 256 buckets of keys."""
        bucket = f"cityHash64({', '.join(f'toString({k})' for k in self.keys)}) % 256 AS bucket"
        sums = ", ".join(f"sum(d.{m}) AS {m}" for m in self.measures)
        keys = ", ".join(self.keys)
        sql = f"""
            SELECT count() FROM (
                SELECT {bucket}, {sums}
                FROM (SELECT {keys}, {", ".join(self.measures)} FROM ({self.select.format(source="ledger")})
                    UNION ALL SELECT {keys}, {", ".join(f"-{m}" for m in self.measures)} FROM {self.name}) AS d
                GROUP BY bucket
                HAVING {" OR ".join(f"{m} != 0" for m in self.measures)})
        """
        return int(store.scalar(sql)) == 0

    def _sides(self, scope: Scope) -> tuple[str, str, dict[str, Any]]:
        """The SELECT of what should be, the relation of what is, and their parameters."""
        if scope == Scope():
            return self.select.format(source="ledger"), self.name, {}
        if scope.column:
            return *self._where(scope.of_thing(), scope.of_thing()), scope.params
        if scope.start is None and scope.end is None:
            return *self._where(scope.of_tenant(), scope.of_tenant()), scope.params
        if self.name in _TIME_COLUMN:
            column, seconds = _TIME_COLUMN[self.name]
            start, end = scope.start and _floor(scope.start, seconds), scope.end and _ceil(scope.end, seconds)
            return *self._where(scope.spans(), scope.spans(column)), {**scope.params, **window(start, end)}
        keys = ", ".join(self.keys)
        touched = f"({keys}) IN (SELECT {keys} FROM ledger WHERE {scope.spans()})"
        return *self._where(touched, touched), scope.params

    def _where(self, of_ledger: str, of_rollup: str) -> tuple[str, str]:
        source = f"(SELECT * FROM ledger WHERE {of_ledger})"
        return self.select.format(source=source), f"(SELECT * FROM {self.name} WHERE {of_rollup})"


def without(rollup: Rollup, rows: Sequence[Row], entries: Book) -> list[Row]:
    """`rows` as they would be if `entries` stood in the ledger."""
    if not entries:
        return list(rows)
    amounts = {tuple(map(_plain, key.values())): dict(wrong) for key, wrong in rows}
    for dims, measures in entries.items():
        named = dict(zip(DIMS, dims, strict=True))
        started = datetime.fromtimestamp(named["started_at_ns"] // 10**9, UTC)
        if named["kind"] not in rollup.kinds:
            continue
        named |= {column: _plain(_floor(started, seconds)) for column, seconds in _TIME_COLUMN.values()}
        named |= {"started_at": named["started_at_ns"], "day": named["day"].date()}
        line = amounts.setdefault(tuple(named[k] for k in rollup.keys), {})
        for name, value in zip(MEASURES, measures, strict=True):
            if name in rollup.measures:
                line[name] = line.get(name, 0) + value
    left = ((key, {name: value for name, value in line.items() if value}) for key, line in amounts.items())
    return [(dict(zip(rollup.keys, key, strict=True)), line) for key, line in left if line]


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


@cache
def all_rollups() -> tuple[Rollup, ...]:
    """The rollups as their view files define them."""
    views = {f.name: f.statement for f in files("views")}
    return tuple(_parse(name, views[name + "_mv"]) for name in NAMES)


def _parse(name: str, statement: str) -> Rollup:
    select = statement.split(" AS\n", 1)[1].strip().replace("{", "{{").replace("}", "}}")
    grouped = re.search(r"GROUP BY (.*)$", select, re.S)
    if grouped is None or "FROM ledger AS l" not in select:
        raise ValueError(f"view {name}_mv is not a GROUP BY over `ledger AS l`")
    keys = tuple(k.strip() for k in grouped.group(1).split(","))
    measures = tuple(m for m in MEASURES if f"sum(l.{m})" in select)
    kinds = _KINDS - {"message"} if "kind != 'message'" in select else _KINDS
    kinds = frozenset({"message"}) if "kind = 'message'" in select else kinds
    return Rollup(name, keys, select.replace("FROM ledger AS l", "FROM {source} AS l"), measures, kinds)


def _floor(when: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(int(when.timestamp()) // seconds * seconds, UTC)


def _ceil(when: datetime, seconds: int) -> datetime:
    floor = _floor(when, seconds)
    return floor if floor == when else floor + timedelta(seconds=seconds)
