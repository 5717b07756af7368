"""People's statements over one tenant's rows, each in the process of its tenant."""

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

from spanledger.errors import StoreError
from spanledger.stats.sandbox import schema
from spanledger.stats.sandbox.answers import LIMITS, MAX_BYTES, MAX_SECONDS, checked_format, error_of
from spanledger.stats.sandbox.child import Child, ChildError
from spanledger.stats.sandbox.inspection import Mentions, inspect, mentioned, one_statement
from spanledger.stats.sandbox.schema import Schema, Table
from spanledger.stats.sandbox.source import DEFAULT_BOUNDS, Bounds, Budget, Source
from spanledger.stats.times import Window
from spanledger.store.client import Store

_LOAD_SECONDS = 60.0
_ALWAYS = Window()
_NEVER = threading.Event()
_MISSING = ("(UNKNOWN_IDENTIFIER)", "(NOT_FOUND_COLUMN_IN_BLOCK)", "(THERE_IS_NO_COLUMN)", "(NO_SUCH_COLUMN_IN_TABLE)")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """What the process holds of a table. `state`: of the main engine's parts; empty: not known."""

    columns: tuple[str, ...]
    state: str
    window: Window

    def serves(self, columns: tuple[str, ...], state: str, window: Window) -> bool:
        return bool(self.state) and self.state == state and self.window == window and set(columns) <= set(self.columns)


@dataclass
class Process:
    child: Child
    loaded: dict[str, Loaded] = field(default_factory=dict)
    views: set[str] = field(default_factory=set)


class Sandbox:
    """For one tenant, or for the operator of the machine: over the rows of all of them (None).

    Thread-safe; one statement runs at a time. Its process is started when it is needed and ends when it is idle.
    """

    def __init__(
        self,
        store: Store,
        tenant: str | None,
        bounds: Bounds = DEFAULT_BOUNDS,
        every_table: bool = False,
    ) -> None:
        self._store = store
        self._every_table = every_table
        self._bounds = bounds
        self._source = Source(store, tenant)
        self._one = threading.Lock()
        self._schema: Schema | None = None
        self._process: Process | None = None
        self._view_mentions: dict[str, Mentions] = {}

    def run(
        self, query: str, fmt: str = "json", window: Window = _ALWAYS, cancelled: threading.Event = _NEVER
    ) -> bytes:
        """The answer in one of `FORMATS`. `window`: bounds the rows of tables with a time.

        Raises BadRequest for a query that is refused, wrong or too expensive; SourceTooLarge, which is one too, when it
        needs more rows than can be copied; StoreError.
        """
        engine_format, statement = checked_format(fmt), one_statement(query)
        with self._one:
            try:
                return self._run_somewhere(statement, engine_format, window, cancelled)
            except ChildError as exc:
                if exc.reason:
                    self._end()
                raise error_of(str(exc), exc.reason) from exc

    @property
    def pid(self) -> int | None:
        """Of the process, while it lives."""
        process = self._process
        return process.child.pid if process is not None and process.child.alive else None

    def end_if_idle(self) -> None:
        """Ends the process unless a statement runs."""
        if self._one.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._one.release()

    def close(self) -> None:
        with self._one:
            self._end()
            self._source.close()

    def _end(self) -> None:
        if self._process is not None:
            self._process.child.kill()
            self._process = None

    def _run_somewhere(self, statement: str, fmt: str, window: Window, cancelled: threading.Event) -> bytes:
        """In another process when the one at hand turns out to have ended by itself."""
        try:
            return self._run(statement, fmt, window, cancelled)
        except ChildError as exc:
            if exc.reason != "idle":
                raise
            self._end()
            return self._run(statement, fmt, window, cancelled)

    def _run(self, statement: str, fmt: str, window: Window, cancelled: threading.Event) -> bytes:
        process = self._ready()
        tree = process.child.ask(MAX_SECONDS, cancelled, do="parse", sql=statement).decode("utf-8", "replace")
        databases = frozenset({self._open.database.lower(), self._store.all_shards.lower()})
        found = self._with_views(inspect(tree, statement, databases), cancelled)
        self._load(found, window, cancelled)
        request = {"do": "run", "sql": statement, "format": fmt, "most": MAX_BYTES}
        try:
            return process.child.ask(MAX_SECONDS + 1, cancelled, **request)
        except ChildError as exc:
            if found.every_column or not any(code in str(exc) for code in _MISSING):
                raise
        # Whatever it was that named a column in a way that the parser does not show: it is there now, or nowhere.
        self._load(Mentions(found.tables, found.names, True, False), window, cancelled)
        return process.child.ask(MAX_SECONDS + 1, cancelled, **request)

    @property
    def _open(self) -> Schema:
        if self._schema is None:
            self._schema = schema.read(self._store, self._every_table)
        return self._schema

    def _ready(self) -> Process:
        if self._process is not None and self._process.child.alive:
            return self._process
        self._end()
        try:
            child = Child()
        except (ChildError, OSError) as exc:
            _log.error("the process for SQL could not be started: %s", exc)
            raise StoreError("the process for SQL could not be started; the log says why") from exc
        self._process = Process(child)
        settings = [f"{name} = '{value}'" for name, value in LIMITS.items()]
        database = self._open.database
        child.ask(_LOAD_SECONDS, _NEVER, do="begin", settings=[*settings, "readonly = 1"], database=database)
        return self._process

    def _with_views(self, found: Mentions, cancelled: threading.Event) -> Mentions:
        """With what the views among its tables name."""
        tables, names, every_column = set(found.tables), set(found.names), found.every_column
        if found.shows_schema:
            tables |= self._open.tables.keys() | self._open.views.keys()
        waiting = [name for name in tables if name in self._open.views]
        while waiting:
            inside = self._mentions_of(waiting.pop(), cancelled)
            waiting += [name for name in inside.tables - tables if name in self._open.views]
            tables |= inside.tables
            names |= inside.names
            every_column |= inside.every_column
        return Mentions(frozenset(tables), frozenset(names), every_column, found.shows_schema)

    def _mentions_of(self, view: str, cancelled: threading.Event) -> Mentions:
        if view not in self._view_mentions:
            assert self._process is not None
            select = self._open.views[view].select
            tree = self._process.child.ask(MAX_SECONDS, cancelled, do="parse", sql=select)
            self._view_mentions[view] = mentioned(tree.decode("utf-8", "replace"))
        return self._view_mentions[view]

    def _load(self, found: Mentions, window: Window, cancelled: threading.Event) -> None:
        """Makes the process hold what a statement mentions; only definitions when it shows nothing else."""
        tables = [self._open.tables[name] for name in sorted(found.tables & self._open.tables.keys())]
        if found.shows_schema:
            self._define_all(tables, cancelled)
        else:
            self._copy(tables, found, window, cancelled)
        self._define_views(found, cancelled)

    def _define_all(self, tables: list[Table], cancelled: threading.Event) -> None:
        assert self._process is not None
        for table in tables:
            columns = table.needed(frozenset(), every_column=True)
            held = self._process.loaded.get(table.name)
            if held is None or held.columns != columns:
                self._define(table, columns, Loaded(columns, "", _ALWAYS), cancelled)

    def _copy(self, tables: list[Table], found: Mentions, window: Window, cancelled: threading.Event) -> None:
        assert self._process is not None
        states = self._source.states([table.name for table in tables])
        budget, stale = Budget(self._bounds), []
        for table in tables:
            columns, state = table.needed(found.names, found.every_column), states.get(table.name, "")
            held = self._process.loaded.get(table.name)
            if held is None or not held.serves(columns, state, window):
                if held is not None and held.window == window:  # so that statements in turn do not drive each other out
                    columns = tuple(dict.fromkeys((*held.columns, *columns)))
                rows = self._source.rows(table, window)
                budget.take_rows(table.name, rows)
                stale.append((table, columns, state, rows))
        for table, columns, state, rows in stale:
            self._define(table, columns, Loaded(columns, state, window), cancelled)
            if rows:
                self._fill(table, columns, window, budget, cancelled)

    def _define(self, table: Table, columns: tuple[str, ...], holds: Loaded, cancelled: threading.Event) -> None:
        assert self._process is not None
        self._process.loaded.pop(table.name, None)
        self._process.views.clear()  # the columns of a view are those that its tables had
        database = self._open.database
        statements = [
            f"DROP TABLE IF EXISTS `{database}`.`{table.name}` SYNC",
            table.definition(database, columns),
        ]
        self._process.child.ask(_LOAD_SECONDS, cancelled, do="define", statements=statements)
        self._process.loaded[table.name] = holds

    def _fill(
        self, table: Table, columns: tuple[str, ...], window: Window, budget: Budget, cancelled: threading.Event
    ) -> None:
        assert self._process is not None
        child, database = self._process.child, self._open.database
        file = child.scratch / "rows.native"
        names = ", ".join(f"`{name}`" for name in columns)
        insert = (
            f"INSERT INTO `{database}`.`{table.name}` ({names}) SELECT {names} FROM file('{file}', 'Native')"
            " SETTINGS optimize_on_insert = 0, max_insert_threads = 1"
        )
        try:
            self._source.copy(table, columns, window, file, budget)
            child.ask(_LOAD_SECONDS, cancelled, do="define", statements=[insert])
        except BaseException:
            self._process.loaded.pop(table.name, None)
            raise
        finally:
            Path(file).unlink(missing_ok=True)

    def _define_views(self, found: Mentions, cancelled: threading.Event) -> None:
        assert self._process is not None
        for name in sorted((found.tables & self._open.views.keys()) - self._process.views):
            self._process.views.add(name)
            self._define_views(self._mentions_of(name, cancelled), cancelled)  # those that it is made of go first
            database = self._open.database
            statements = [
                f"DROP VIEW IF EXISTS `{database}`.`{name}` SYNC",
                self._open.views[name].definition(database),
            ]
            self._process.child.ask(_LOAD_SECONDS, cancelled, do="define", statements=statements)
