"""Gives ClickHouse access to the spool: the embedded engine reads the files, a server receives them."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spanledger import resources
from spanledger.errors import StoreError
from spanledger.ingest import decode
from spanledger.ingest.decode import Target, quoted
from spanledger.store.client import Store

_CHUNK = 1024 * 1024
_GONE_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Load:
    """Segments on their way into a table. `missing_only` is a condition on the rows, `settings` go with the insert."""

    target: Target
    segments: Sequence[Path]
    batch: str
    token: str
    missing_only: str = ""
    settings: str = ""


class Feed(Protocol):
    def insert(self, load: Load) -> None:
        """Raises StoreError."""

    def check(self, target: Target, segments: Sequence[Path]) -> None:
        """Reads the segments without storing anything. Raises StoreError."""

    def settle(self, batch: str) -> None:
        """Returns when no insert of this batch can still be running. Raises StoreError."""


def feed_of(store: Store) -> Feed:
    return FileFeed(store) if store.embedded else StreamFeed(store)


class FileFeed:
    """For the embedded engine, which reads the disk of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def insert(self, load: Load) -> None:
        self._store.command(decode.insert(_statement(load), _file(load.target, load.segments)))

    def check(self, target: Target, segments: Sequence[Path]) -> None:
        self._store.query(decode.check(target, _file(target, segments)))

    def settle(self, batch: str) -> None:
        """Nothing runs in the embedded engine that this process has not waited for."""


def _file(target: Target, segments: Sequence[Path]) -> decode.Source:
    """All segments lie in one folder. A name that is missing would be read as nothing, so look first."""
    for path in segments:
        if not path.exists():
            raise StoreError(f"the spool segment {path.name} is gone")
    names = ",".join(path.name for path in segments)
    glob = segments[0].parent.resolve() / (names if len(segments) == 1 else "{" + names + "}")
    schema = resources.folder("clickhouse").resolve() / "ingest" / "otlp.proto"
    return decode.Source(
        f"file({quoted(str(glob))}, 'Protobuf', {quoted(target.structure)})",
        f"format_schema = {quoted(f'{schema}:{target.message}')}",
    )


class StreamFeed:
    """For a server: the segments follow the statement in the body of the request."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def insert(self, load: Load) -> None:
        self._send(decode.insert(_statement(load), _input(load.target)), load.segments, load.batch)

    def check(self, target: Target, segments: Sequence[Path]) -> None:
        self._send(decode.check_insert(target, _input(target)), segments, "")

    def settle(self, batch: str) -> None:
        """After a lost connection the insert may still run: stops it and waits for its end."""
        deadline = time.monotonic() + _GONE_TIMEOUT_S
        running = f"FROM system.processes WHERE startsWith(query_id, {quoted(batch)})"
        while self._store.scalar(f"SELECT count() {running}"):
            if time.monotonic() > deadline:
                raise StoreError(f"an insert of batch {batch} is still running on the server")
            with contextlib.suppress(StoreError):  # not every user may kill; then it is waited for
                self._store.command(f"KILL QUERY WHERE startsWith(query_id, {quoted(batch)}) SYNC")
            time.sleep(0.2)

    def _send(self, statement: str, segments: Sequence[Path], batch: str) -> None:
        query_id = {"query_id": f"{batch}-{time.time_ns():x}"} if batch else {}
        self._store.send(_body(statement, segments), query_id)


def _input(target: Target) -> decode.Source:
    return decode.Source(
        f"input({quoted(target.structure)})",
        f"format_schema_source = 'string', format_schema_message_name = {quoted(target.message)}, "
        f"format_schema = {quoted(decode.schema())}",
        "FORMAT Protobuf",
    )


def _body(statement: str, segments: Sequence[Path]) -> Iterator[bytes]:
    yield statement.encode() + b"\n"
    for path in segments:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _statement(load: Load) -> decode.Insert:
    return decode.Insert(load.target, load.batch, load.token, load.missing_only, load.settings)
