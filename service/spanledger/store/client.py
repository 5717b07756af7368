"""One client for the embedded ClickHouse engine and for a ClickHouse server.

The rest of the program uses SQL, bound parameters (`{name:Type}`), rows and Arrow tables, and does not depend on which
of them it uses.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver import options
from clickhouse_connect.driver.exceptions import ClickHouseError

from spanledger.errors import EngineError, StoreError, TookTooLong
from spanledger.store import arrow_text
from spanledger.store.beside import Answer, Beside
from spanledger.store.refusals import with_fix
from spanledger.store.running import lock_folder
from spanledger.store.versions import Versions

# No data frames are passed: as if pandas were not installed. The first insert would otherwise import it (0.6 s of CPU).
options.pd = options.pd_time_test = None

Params = Mapping[str, Any]
Rows = list[tuple[Any, ...]]

# Audit asks with the whole text of the normalising view, which is longer than ClickHouse takes by default (256 KiB).
_SETTINGS = {"max_query_size": 4 * 1024 * 1024}
# The engine compares its count of memory with what the process has; its default is 20 times a second, idle or not.
_ENGINE_OPTIONS = {"memory_worker_period_ms": 500}
_PIECE_BYTES = 1024 * 1024
# Of inserts of rows that are at hand: several threads only hand the same blocks to each other.
_INSERT = {"max_threads": 1, "max_insert_threads": 1}
_BESIDE = 4  # questions at once beside those of the threads that ask

T = TypeVar("T")


class Store:
    """Thread-safe: each thread gets a client handle of its own, so queries run in parallel."""

    def __init__(self, connect: Mapping[str, Any], database: str, lock: TextIO | None, embedded: bool) -> None:
        self._connect = dict(connect)
        self._local = threading.local()
        self._lock = lock
        self._clients: list[Any] = []
        self._clients_guard = threading.Lock()
        self.database = database
        self.embedded = embedded
        self.seal_secret = ""  # bound to queries that ask whether a row is ours (queries/parts/is_sealed.sql)
        self.versions = Versions()
        self._all_shards: str | None = None
        self._beside = Beside(_BESIDE)

    def _client(self) -> Any:
        client = getattr(self._local, "client", None)
        if client is None:
            try:
                client = clickhouse_connect.get_client(**self._connect)
            except (ClickHouseError, OSError) as exc:
                raise EngineError(with_fix(f"ClickHouse cannot be reached: {_first_line(exc)}")) from exc
            self._local.client = client
            with self._clients_guard:
                self._clients.append(client)
        return client

    @contextmanager
    def _mapped(self) -> Iterator[Any]:
        client = self._client()
        try:
            yield client
        except (ClickHouseError, OSError) as exc:
            self._replace(client)
            raise self._error_of(exc) from exc

    def _error_of(self, exc: Exception) -> StoreError:
        if "TIMEOUT_EXCEEDED" not in str(exc):
            return EngineError(_first_line(exc))
        seconds = float(self._connect["settings"].get("max_execution_time", 0))
        return TookTooLong(f"this takes longer than {seconds:g} s; ask for a shorter window or a narrower filter")

    def _replace(self, client: Any) -> None:
        """Throws the handle of a failed query away: chdb would put what that query had already written
        in front of the next answer on the same handle. The new one opens first, so the engine stays up."""
        if not self.embedded:
            return
        self._local.client = None
        self._client()
        with self._clients_guard:
            if client in self._clients:
                self._clients.remove(client)
        client.close()

    @property
    def all_shards(self) -> str:
        """The database whose tables mean their rows on every shard; this one where it has them all."""
        if self._all_shards is None:
            there = not self.embedded and self.scalar(
                "SELECT count() FROM system.tables "
                "WHERE database = concat(currentDatabase(), '_all') AND engine = 'Distributed'"
            )
            self._all_shards = f"{self.database}_all" if there else self.database
        return self._all_shards

    def limited(self, settings: Params) -> "Store":
        """The same data through handles of their own that keep `settings`, applied in the given order."""
        store = Store({**self._connect, "settings": {**_SETTINGS, **settings}}, self.database, None, self.embedded)
        store.seal_secret = self.seal_secret
        return store

    def _bound(self, sql: str, params: Params | None) -> dict[str, Any]:
        bound = dict(params or {})
        if "{seal_secret:" in sql:
            bound["seal_secret"] = self.seal_secret
        return bound

    def query(self, sql: str, params: Params | None = None, settings: Params | None = None) -> Rows:
        """Rows in the order of the query. Raises StoreError."""
        with self._mapped() as client:
            result = client.query(sql, parameters=self._bound(sql, params), settings=dict(settings or {}))
            return [tuple(row) for row in result.result_rows]

    def dicts(self, sql: str, params: Params | None = None, settings: Params | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries by column name."""
        with self._mapped() as client:
            result = client.query(sql, parameters=self._bound(sql, params), settings=dict(settings or {}))
            names = result.column_names
            return [dict(zip(names, row, strict=True)) for row in result.result_rows]

    def scalar(self, sql: str, params: Params | None = None) -> Any:
        """The first column of the first row, None when there is no row."""
        rows = self.query(sql, params)
        return rows[0][0] if rows else None

    def arrow(self, sql: str, params: Params | None = None, settings: Params | None = None) -> pa.Table:
        """The result as one Arrow table, strings as text."""
        with self._mapped() as client:
            table = client.query_arrow(
                sql, parameters=self._bound(sql, params), settings=dict(settings or {}), use_strings=True
            )
        return arrow_text.whole(table)

    def soon(self, ask: Callable[[], T]) -> Answer[T]:
        """Asks beside what this thread asks meanwhile. `ask` uses no `soon` of its own."""
        return self._beside.ask(ask)

    def raw(self, sql: str, fmt: str, params: Params | None = None, settings: Params | None = None) -> bytes:
        """The result in a ClickHouse output format (PrettyCompact, JSON, CSVWithNames …)."""
        with self._mapped() as client:
            body: bytes = client.raw_query(sql, parameters=dict(params or {}), settings=dict(settings or {}), fmt=fmt)
            return body

    @contextmanager
    def stream(self, sql: str, fmt: str, params: Params | None = None) -> Iterator[Iterator[bytes]]:
        """The result piece by piece, in a format without head and foot (Native, CSV, TSV, JSONEachRow)."""
        with self._mapped() as client, closing(client.raw_stream(sql, parameters=dict(params or {}), fmt=fmt)) as body:
            yield iter(lambda: body.read(_PIECE_BYTES), b"")

    def command(self, sql: str, params: Params | None = None, settings: Params | None = None) -> None:
        """Runs DDL or an INSERT … SELECT."""
        with self._mapped() as client:
            client.command(sql, parameters=dict(params or {}), settings=dict(settings or {}))

    def send(self, body: Iterable[bytes], settings: Params | None = None) -> None:
        """Sends a server a statement that is followed by its data, piece by piece; it is never sent twice."""
        with self._mapped() as client:
            client.raw_insert(insert_block=body, settings=dict(settings or {}))

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        settings: Params | None = None,
    ) -> None:
        """Inserts rows, values in the order of `columns`; nothing happens for no rows."""
        if not rows:
            return
        with self._mapped() as client:
            client.insert(table, rows, column_names=list(columns), settings={**_INSERT, **(settings or {})})

    def insert_arrow(self, table: str, data: pa.Table, settings: Params | None = None) -> None:
        """Inserts an Arrow table whose column names are columns of `table`."""
        if data.num_rows == 0:
            return
        with self._mapped() as client:
            client.insert_arrow(table, data, settings={**_INSERT, **(settings or {})})

    def close(self) -> None:
        self._beside.close()
        with self._clients_guard:
            for client in self._clients:
                client.close()
            self._clients.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def open_embedded(data_dir: Path) -> Store:
    """Opens (and creates) the embedded engine's data in `data_dir/clickhouse`.

    Raises StoreBusy when another process owns the folder, StoreError when it cannot be written.
    """
    lock = lock_folder(data_dir)
    connect = {
        "interface": "chdb",
        "path": str(data_dir / "clickhouse"),
        "chdb_options": _ENGINE_OPTIONS,
        "settings": _SETTINGS,
    }
    return Store(connect, "default", lock, embedded=True)


def open_server(url: str) -> Store:
    """A ClickHouse server by `http://user:password@host:8123/database`. Raises StoreError."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise StoreError("--clickhouse-url must look like http://user:password@host:8123/database")
    database = parts.path.strip("/") or "default"
    connect = {
        "host": parts.hostname,
        "port": parts.port or (8443 if parts.scheme == "https" else 8123),
        "username": unquote(parts.username or "default"),
        "password": unquote(parts.password or ""),
        "database": database,
        "secure": parts.scheme == "https",
        "autogenerate_session_id": False,
        "settings": _SETTINGS,
    }
    store = Store(connect, database, None, embedded=False)
    store.query("SELECT 1")
    return store


def _first_line(exc: BaseException) -> str:
    text = str(exc).strip() or type(exc).__name__
    return text.splitlines()[0][:500]
