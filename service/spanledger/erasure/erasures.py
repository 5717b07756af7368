"""Erasures of one service: starts them, records them, and repeats them for data that arrives later.

Each is an entry of the registry. While it runs the entry holds the id, so that a process that starts after a crash goes
on; when it is done the entry holds the keyed pseudonym alone, by which the id is recognised if it arrives again.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from spanledger.erasure.local import LocalFiles
from spanledger.erasure.run import Outcome, Run, clear, old_parts
from spanledger.erasure.subject import COLUMNS, Extent, Pseudonyms, Subject, is_pseudonym
from spanledger.errors import BadRequest, NotFound, SpanledgerError, StoreError, public_message
from spanledger.ingest.service import Ingest
from spanledger.jobs.book import JobBook
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store.client import Store
from spanledger.store.registry import Entry, Registry

KIND = "erasure"
RUNNING, DONE, FAILED = "running", "done", "failed"
_GATHER_S = 1.0  # data that arrives again is collected for this time before it is erased
_FLUSH_S = 60.0
_ORDER: tuple[Extent, ...] = ("content", "identity", "everything")
Say = Callable[[str], None]
log = logging.getLogger(__name__)


Known = dict[tuple[str, str], list[Entry]]
Arrived = dict[tuple[Subject, Extent], set[str]]  # what came again, with the traces in which it came


@dataclass(frozen=True)
class _Tombstones:
    """By tenant and pseudonym (of a trace: its id) the erasures that are done; `state` of the registry they are of."""

    state: tuple[int, int]
    known: Known


class Erasures:
    """Thread-safe. One erasure runs at a time."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        ledger: Ledger,
        ingest: Ingest,
        registry: Registry,
        jobs: JobBook,
        emitted: Callable[[], object],
    ) -> None:
        """`emitted` sends out what this process has emitted and not sent yet."""
        self._settings, self._store, self._ledger, self._ingest = settings, store, ledger, ingest
        self._registry, self._jobs, self._emitted = registry, jobs, emitted
        self._pseudonyms = Pseudonyms(settings.data_dir)
        self._one = threading.Lock()
        self._looking = threading.Lock()  # held while spans of a settlement are checked; a stop waits for it
        self._guard = threading.Condition()
        self._arrived: Arrived = {}
        self._tombstones = _Tombstones((-1, -1), {})
        self._unclean: set[str] = set()  # tables with replaced parts that are still on the disk
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watches what arrives, and goes on with what an earlier process did not end."""
        self._ledger.settler.observe_with(self._observe)
        self._thread = threading.Thread(target=self._work, name="erasures", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ledger.settler.observe_with(lambda spans, posted: None)  # the next start looks for what arrives meanwhile
        with self._looking, self._guard:
            self._stopping = True
            self._guard.notify_all()
        if self._thread is not None:
            self._thread.join(10)

    def order(self, subject: Subject, extent: Extent, by: str) -> Entry:
        """Notes an erasure down. Raises BadRequest where it cannot be done from here."""
        if self._store.all_shards != self._store.database:
            raise BadRequest("an erasure reaches one server; on a cluster run it with the URL of each shard's database")
        body = {
            "state": RUNNING,
            "kind": subject.kind,
            "scope": extent,
            "value": subject.value,
            "requested_at": _now(),
        }
        return self._registry.put(subject.tenant, KIND, uuid.uuid4().hex, body, by)

    def run(self, ordered: Entry, say: Say) -> dict[str, Any]:
        """Runs the erasure; returns the result of `described`. Raises SpanledgerError."""
        subject = _subject(ordered)
        extent: Extent = ordered.body["scope"]
        with self._one:
            try:
                say("waiting for what was sent before")
                self._emitted()
                self._ingest.flush(_FLUSH_S)
                outcome = self._erase(subject, extent, None, say)
            except SpanledgerError as exc:
                self._registry.put(
                    ordered.tenant, KIND, ordered.name, {**ordered.body, "state": FAILED, "error": public_message(exc)}
                )
                raise
            self._conclude(ordered, subject, outcome)
        return self.described(ordered.tenant, ordered.name)

    def described(self, tenant: str, erasure_id: str) -> dict[str, Any]:
        """An erasure as the API returns it. Raises NotFound."""
        entry = self._registry.get(tenant, KIND, erasure_id)
        if entry is None:
            raise NotFound(f"there is no erasure {erasure_id!r}")
        return self._public(entry)

    def listed(self, tenant: str) -> list[dict[str, Any]]:
        """All of a tenant, latest first."""
        found = [self._public(entry) for entry in self._registry.names(tenant, KIND)]
        return sorted(found, key=lambda one: one["requested_at"], reverse=True)

    def lift(self, tenant: str, erasure_id: str, by: str) -> None:
        """Ends the erasing of data that arrives later. Raises NotFound."""
        if not self._registry.remove(tenant, KIND, erasure_id, by):
            raise NotFound(f"there is no erasure {erasure_id!r}")

    def _public(self, entry: Entry) -> dict[str, Any]:
        body = dict(entry.body)
        tables = body.pop("tables", [])
        state = {
            "erasure_id": entry.name,
            **{name: body.get(name) for name in ("state", "kind", "scope", "requested_at", "finished_at")},
            "pseudonym": body.get("pseudonym"),
            "error": body.get("error"),
            "arrived_again": body.get("arrived_again", 0),
            "report": body.get("report"),
        }
        if state["report"] is not None:
            finished = datetime.fromisoformat(body["finished_at"])
            left = old_parts(self._store, tables, finished)
            until = (finished + timedelta(seconds=left["kept_s"])).isoformat() if left["parts"] else None
            state["report"] = {**state["report"], "old_parts": left["parts"], "old_parts_until": until}
        return state

    def _erase(self, subject: Subject, extent: Extent, only: list[str] | None, say: Say) -> Outcome:
        files = LocalFiles(self._settings.data_dir, self._registry, self._jobs)
        outcome = Run(self._store, self._ledger, files, self._pseudonyms, subject, extent, only).run(say)
        if self._store.embedded and old_parts(self._store, outcome.tables, datetime.now(UTC))["parts"]:
            self._await({}, outcome.tables)
        return outcome

    def _clean(self) -> None:
        """Tries again to delete the parts that a query read when their erasure ended."""
        with self._one:
            tables = sorted(self._unclean)
            try:
                clear(self._store, tables)
                if not old_parts(self._store, tables, datetime.now(UTC))["parts"]:
                    self._unclean.difference_update(tables)
            except StoreError as exc:
                log.warning("replaced parts could not be deleted, will try again: %s", exc)

    def _conclude(self, ordered: Entry, subject: Subject, outcome: Outcome) -> None:
        """The entry keeps the pseudonym; versions with the id go from the disk."""
        body = {name: value for name, value in ordered.body.items() if name not in ("value", "error")}
        body |= {
            "state": DONE,
            "pseudonym": self._mark_of(subject),
            "finished_at": _now(),
            "report": outcome.as_dict(),
            "tables": list(outcome.tables),
        }
        self._registry.put(ordered.tenant, KIND, ordered.name, body, ordered.created_by)
        self._registry.forget(ordered.tenant, KIND, ordered.name, keep_newest=True)
        self._registry.scrub()

    def _mark_of(self, subject: Subject) -> str:
        """What identifies a subject after its erasure: a pseudonym; a trace id is not personal and is kept."""
        if subject.kind == "trace":
            return subject.value
        return self._pseudonyms.of(subject.tenant, subject.kind, subject.value)

    def _observe(self, spans: pa.Table, posted: pa.Table) -> None:
        """Looks for what was erased before among the spans of a batch. On the settling thread."""
        with self._looking:
            if not self._stopping:  # a settlement may have begun before the stop; then the registry is about to close
                self._look_at(spans, posted)

    def _look_at(self, spans: pa.Table, posted: pa.Table) -> None:
        known = self._done()
        if not known:
            return
        arrived: Arrived = {}
        users: dict[tuple[str, str], set[str]] = {}  # the users of a trace, by pseudonym
        for subject, trace in _ids(spans):
            mark = self._mark_of(subject)
            if subject.kind == "user":
                users.setdefault((subject.tenant, trace), set()).add(mark)
            for entry in known.get((subject.tenant, mark), ()):
                if entry.body["kind"] == subject.kind:
                    arrived.setdefault((subject, entry.body["scope"]), set()).add(trace)
        # Late spans of traces that were deleted as a whole: the ledger has their entries under a pseudonym. Where they
        # name the same user and no other, the user's own erasure deletes them.
        there = set(spans["trace_id"].to_pylist())
        for tenant, trace, user in zip(
            *(posted[c].to_pylist() for c in ("tenant", "trace_id", "user_id")), strict=True
        ):
            scopes = {entry.body["scope"] for entry in known.get((tenant, user), ())}
            if "everything" in scopes and trace in there and users.get((tenant, trace)) != {user}:
                arrived.setdefault((Subject(tenant, "trace", trace), "everything"), set()).add(trace)
        if arrived:
            self._await(arrived)

    def _done(self) -> Known:
        state = self._registry.state()
        if state != self._tombstones.state:
            known: Known = {}
            for entry in self._registry.everywhere(KIND):
                if entry.body["state"] == DONE:
                    known.setdefault((entry.tenant, entry.body["pseudonym"]), []).append(entry)
            self._tombstones = _Tombstones(state, known)
        return self._tombstones.known

    def _await(self, arrived: Arrived, unclean: Sequence[str] = ()) -> None:
        with self._guard:
            self._unclean.update(unclean)
            for one, traces in arrived.items():
                self._arrived.setdefault(one, set()).update(traces)
            self._guard.notify_all()

    def _look(self) -> None:
        """Finds what arrived while no process ran, and what a process found that died before it erased it."""
        known = self._done()
        tenants = sorted({tenant for tenant, _ in known})
        arrived: Arrived = {}
        for kind, column in COLUMNS.items() if tenants else ():
            sql = f"SELECT DISTINCT tenant, {column} FROM genai_spans WHERE tenant IN {{tenants:Array(String)}}"
            for tenant, value in self._store.query(sql, {"tenants": tenants}):
                subject = Subject(tenant, kind, value)
                entries = () if is_pseudonym(value) else known.get((tenant, self._mark_of(subject)), ())
                for entry in (one for one in entries if one.body["kind"] == kind):
                    if traces := self._since(subject, entry):
                        arrived[subject, entry.body["scope"]] = traces
        if arrived:
            self._await(arrived)

    def _since(self, subject: Subject, entry: Entry) -> set[str]:
        """The traces of a subject with spans that came after its erasure."""
        sql = (
            "SELECT DISTINCT trace_id FROM genai_spans "
            f"WHERE tenant = {{tenant:String}} AND {subject.column} = {{value:String}}"
            " AND received_at >= parseDateTime64BestEffort({since:String}, 3)"
        )
        since = entry.body.get("looked_at", entry.body["requested_at"])
        params = {"tenant": subject.tenant, "value": subject.value, "since": since}
        return {trace for (trace,) in self._store.query(sql, params)}

    def _work(self) -> None:
        try:
            self._resume()
            self._look()
        except SpanledgerError as exc:
            log.error("the search for data of erased subjects that arrived while no process ran failed: %s", exc)
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._stopping or self._arrived or self._unclean)
                if self._stopping:
                    return
                self._guard.wait_for(lambda: self._stopping, _GATHER_S)
                arrived, self._arrived = self._arrived, {}
            for (subject, extent), traces in sorted(arrived.items(), key=lambda one: _ORDER.index(one[0][1])):
                self._again(subject, extent, traces)
            if self._unclean:
                self._clean()

    def _again(self, subject: Subject, extent: Extent, traces: set[str]) -> None:
        began = _now()
        try:
            with self._one:
                self._erase(subject, extent, sorted(traces), lambda _: None)
        except SpanledgerError as exc:
            log.error("what was erased has come again and could not be erased, will try again: %s", exc)
            self._await({(subject, extent): traces})
            return
        for entry in self._done().get((subject.tenant, self._mark_of(subject)), ()):
            if entry.body["scope"] == extent:
                body = {**entry.body, "arrived_again": entry.body.get("arrived_again", 0) + len(traces)}
                body |= {"looked_at": began}
                self._registry.put(subject.tenant, KIND, entry.name, body, entry.created_by)
                self._registry.forget(subject.tenant, KIND, entry.name, keep_newest=True)

    def _resume(self) -> None:
        """What a process that died did not end."""
        for entry in self._registry.everywhere(KIND):
            if entry.body["state"] in (RUNNING, FAILED) and not self._stopping:
                try:
                    self.run(entry, lambda _: None)
                except SpanledgerError as exc:
                    log.error("erasure %s could not be ended: %s", entry.name, exc)


def _ids(spans: pa.Table) -> Iterator[tuple[Subject, str]]:
    """Every id of the spans, with its trace."""
    for kind, column in COLUMNS.items():
        names = list(dict.fromkeys(("tenant", "trace_id", column)))
        for row in spans.select(names).group_by(names).aggregate([]).to_pylist():
            if row[column] and not is_pseudonym(row[column]):
                yield Subject(row["tenant"], kind, row[column]), row["trace_id"]


def _subject(entry: Entry) -> Subject:
    return Subject(entry.tenant, entry.body["kind"], entry.body["value"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
