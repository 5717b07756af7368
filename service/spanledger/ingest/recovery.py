"""Completes a batch that may be partly loaded, and finds the records that ClickHouse refuses.

A deduplication token does not recover from a crash: after a `kill -9` ClickHouse may know the token and not have the
rows. So each level is compared with the one above it: rows of the batch that a table lacks are inserted with a fresh
token."""

import logging
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spanledger.errors import StoreError
from spanledger.ingest import dead, decode, records, spool
from spanledger.ingest.blame import blames_data, is_clear
from spanledger.ingest.canonical import canonical
from spanledger.ingest.completion import Completion
from spanledger.ingest.feed import Load, feed_of
from spanledger.ingest.signals import SIGNALS
from spanledger.store.client import Store

_PATIENCE = 8  # attempts at a record that can be read and still is not taken, before it is set aside


def _missing(identity: str, table: str) -> str:
    return f"{identity} NOT IN (SELECT {identity} FROM {table} WHERE Batch = {{batch}})"


_LOG = "sipHash64(Timestamp, TraceId, SpanId, ServiceName, Body, toString(LogAttributes))"
_POINT = "sipHash64(TimeUnix, StartTimeUnix, MetricName, toString(Attributes), toString(ResourceAttributes), ScopeName)"
_MISSING = {
    target.table: _missing({"traces": "(TraceId, SpanId)", "logs": _LOG, "metrics": _POINT}[signal], target.table)
    for signal, targets in decode.TARGETS.items()
    for target in targets
}

_FILE = re.compile(r"\(in file/uri ([^)]*)\)")  # what the embedded engine was reading when it failed

log = logging.getLogger(__name__)


class Recovery:
    """For the batches of one signal."""

    def __init__(self, store: Store, data_dir: Path, signal: str) -> None:
        self._store = store
        self._feed = feed_of(store)
        self._data_dir = data_dir
        self.signal = signal
        self._attempts: Counter[str] = Counter()

    def complete(self, batch: str, segments: Sequence[Path]) -> int:
        """Makes every table hold the batch once; returns how many records had to be set aside. Raises StoreError."""
        self._feed.settle(batch)
        self._attempts[batch] += 1
        buried = sum(self._insert(target, batch, list(segments)) for target in decode.TARGETS[self.signal])
        if self.signal != "metrics":
            completion = Completion(self._store, batch)
            if self.signal == "logs":
                completion.add_calls_of_logs()
            completion.run()
        del self._attempts[batch]
        return buried

    def _insert(self, target: decode.Target, batch: str, segments: list[Path]) -> int:
        """Inserts what is missing; where ClickHouse refuses, without the segment that it names, or halving, down to the
        single record."""
        buried, waiting = 0, [segments]
        while waiting:
            part = waiting.pop()
            if not part:
                continue
            try:
                self._insert_missing(target, batch, part)
                continue
            except StoreError as exc:
                if not blames_data(self._store, exc):
                    raise
                named = _named(exc, part) if len(part) > 1 else None
            if named is not None:
                waiting += [part[named + 1 :], [part[named]], part[:named]]
            elif (refusal := self._refusal(target, batch, part)) is not None:
                if len(part) > 1:
                    middle = len(part) // 2
                    waiting += [part[middle:], part[:middle]]
                else:
                    buried += self._insert_pieces(target, batch, part, refusal)
        return buried

    def _insert_pieces(self, target: decode.Target, batch: str, segments: list[Path], refusal: StoreError) -> int:
        """The records of a single segment that is refused."""
        with self._halves(segments[0]) as halves:
            if halves:
                return sum(self._insert(target, batch, [half]) for half in halves)
        if self._insert_rewritten(target, batch, segments[0]):
            return 0
        return self._give_up(batch, segments[0], refusal)

    def _refusal(self, target: decode.Target, batch: str, segments: list[Path]) -> StoreError | None:
        """What is wrong with these segments themselves; None when only a view was, and they are stored without it."""
        try:
            self._feed.check(target, segments)
            self._insert_missing(target, batch, segments, "materialized_views_ignore_errors = 1")
        except StoreError as exc:
            return exc
        return None

    def _insert_missing(self, target: decode.Target, batch: str, segments: list[Path], settings: str = "") -> None:
        missing = _MISSING[target.table].replace("{batch}", decode.quoted(batch))
        self._feed.insert(Load(target, segments, batch, secrets.token_hex(8), missing, settings))

    def _insert_rewritten(self, target: decode.Target, batch: str, segment: Path) -> bool:
        """The same record as the protobuf library would write it; whether that was taken. ClickHouse is stricter than
        protobuf is: of a oneof that was sent twice the last one counts, to ClickHouse it is an error."""
        rewritten = segment.with_name(f"{segment.stem}-rewritten{spool.DRAFT}")
        try:
            record = records.unframe(segment.read_bytes())
            clean = canonical(SIGNALS[self.signal], record.body)
            if clean is None or clean.body == record.body:
                return False
            rewritten.write_bytes(b"".join(records.frame(clean.body, record.received_at_ms, record.tenant)))
            self._insert_missing(target, batch, [rewritten])
            return True
        except ValueError:  # no protobuf at all
            return False
        except StoreError as exc:
            if not blames_data(self._store, exc):
                raise
            return False
        finally:
            rewritten.unlink(missing_ok=True)

    @contextmanager
    def _halves(self, segment: Path) -> Iterator[list[Path]]:
        """Two temporary segments with the records of one; nothing when it has only one record."""
        data = segment.read_bytes()
        found = records.scan(data).records
        if len(found) < 2:
            yield []
            return
        middle = found[len(found) // 2][0]
        halves = [segment.with_name(f"{segment.stem}-{part}{spool.DRAFT}") for part in "ab"]
        try:
            halves[0].write_bytes(data[:middle])
            halves[1].write_bytes(data[middle:])
            yield halves
        finally:
            for half in halves:
                half.unlink(missing_ok=True)

    def _give_up(self, batch: str, segment: Path, error: StoreError) -> int:
        """One record that ClickHouse refuses is set aside: at once if it says why, else after some attempts."""
        if not is_clear(error) and self._attempts[batch] < _PATIENCE:
            raise error
        name = f"{batch}-{secrets.token_hex(4)}"
        path = dead.bury(self._data_dir, self.signal, name, segment.read_bytes(), str(error))
        log.error("a record that ClickHouse refuses was set aside as %s: %s", path.name, error)
        return 1


def _named(error: StoreError, segments: Sequence[Path]) -> int | None:
    """The place of the segment that an error names."""
    found = _FILE.search(str(error))
    name = found[1].rpartition("/")[2] if found else ""
    return next((place for place, segment in enumerate(segments) if segment.name == name), None)
