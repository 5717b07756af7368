"""What an erasure does to the files of the data folder beside ClickHouse's: conversations that workflows remember,
jobs, configuration, exports that wait, dead letters."""

import contextlib
import json
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spanledger.erasure.bodies import Rewriter
from spanledger.erasure.subject import Extent, Subject, pattern_of
from spanledger.ingest import dead, records
from spanledger.ingest.signals import SIGNALS
from spanledger.jobs.book import JobBook
from spanledger.store.registry import Registry
from spanledger.store.sqlite_files import scrub

MEMORY = "conversations.db"
_BUSY_S = 30.0
_PREFERENCES = "preferences"
_OWN_KIND = "erasure"


@dataclass
class LocalFiles:
    """Of one data folder. `changed` counts by what was changed."""

    data_dir: Path
    registry: Registry
    jobs: JobBook
    changed: dict[str, int] = field(default_factory=dict)

    def erase(
        self, subject: Subject, extent: Extent, pseudonym: str, conversations: Collection[str], body: Rewriter
    ) -> None:
        """`conversations`: those of the traces of the erasure."""
        self._note("remembered conversations", self._memory(subject, extent, conversations))
        self._note("jobs", self._jobs(subject, extent, pseudonym, conversations))
        self._note("configuration", self._configuration(subject, extent, pseudonym))
        self._note("exports that waited", self._outbox(body))
        self._note("dead letters", self._dead_letters(subject, body))

    def _note(self, what: str, count: int) -> None:
        if count:
            self.changed[what] = self.changed.get(what, 0) + count

    def _memory(self, subject: Subject, extent: Extent, conversations: Collection[str]) -> int:
        path = self.data_dir / MEMORY
        if not path.exists():
            return 0
        threads = {f"{subject.tenant}/{conversation}" for conversation in conversations}
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'checkpoints'").fetchone():
                return 0
            if extent == "identity" and subject.kind != "conversation":
                threads = _naming(db, subject)
            removed = 0
            for thread in sorted(threads):
                removed += db.execute("DELETE FROM checkpoints WHERE thread_id = ?", (thread,)).rowcount > 0
                db.execute("DELETE FROM writes WHERE thread_id = ?", (thread,))
            if removed:
                scrub(db)
        return removed

    def _jobs(self, subject: Subject, extent: Extent, pseudonym: str, conversations: Collection[str]) -> int:
        user = subject.value if subject.kind == "user" else ""
        if extent == "identity":
            return self.jobs.erase(subject.tenant, user, (), pseudonym) if user else 0
        return self.jobs.erase(subject.tenant, user, set(conversations) - {""})

    def _configuration(self, subject: Subject, extent: Extent, pseudonym: str) -> int:
        changed = 0
        if subject.kind == "user" and extent != "identity":
            changed += self.registry.forget(subject.tenant, _PREFERENCES, subject.value)
        if subject.kind != "trace" and extent != "content":
            original, replacement = json.dumps(subject.value), json.dumps(pseudonym)

            def change(kind: str, name: str, body: str) -> tuple[str, str]:
                if kind == _OWN_KIND:
                    return name, body
                return pseudonym if name == subject.value else name, body.replace(original, replacement)

            changed += self.registry.rewrite(subject.tenant, change)
        if changed:
            self.registry.scrub()
        return changed

    def _outbox(self, body: Rewriter) -> int:
        changed = 0
        for path in sorted((self.data_dir / "outbox").glob("*.pb")):
            signal = path.name.removesuffix(".pb").rpartition(".")[2]
            with contextlib.suppress(FileNotFoundError):  # sent in between: what arrives is erased again
                before = path.read_bytes()
                after = body.rewrite(SIGNALS[signal], before) if signal in SIGNALS else None
                if after is not None and after != before:
                    draft = path.with_suffix(".new")
                    draft.write_bytes(after)
                    draft.replace(path)
                    changed += 1
        return changed

    def _dead_letters(self, subject: Subject, body: Rewriter) -> int:
        changed = 0
        for path in _letters(dead.folder(self.data_dir)):
            data = path.read_bytes()
            after = _rewritten(path.name.partition("-")[0], data, subject, body)
            if after == data:
                continue
            changed += 1
            if after:
                draft = path.with_suffix(".new")
                draft.write_bytes(after)
                draft.replace(path)
            else:
                path.unlink()
                path.with_suffix(".reason.txt").unlink(missing_ok=True)
        return changed


def _packed(text: bytes) -> bytes:
    """A string of MessagePack: its length, then its bytes."""
    size = len(text)
    head = bytes([0xA0 | size]) if size < 32 else b"\xd9" + bytes([size]) if size < 256 else b"\xda" + size.to_bytes(2)
    return head + text


def _naming(db: sqlite3.Connection, subject: Subject) -> set[str]:
    """The conversations of the tenant in whose memory an id stands: inside of texts, or as a value of its own where it
    could be a word of any text."""
    value = subject.value.encode("utf-8", "surrogatepass")
    if pattern_of(subject.value):
        needles = [value]
    else:  # as a string of MessagePack, the format of checkpoints, and of JSON
        needles = [_packed(value), json.dumps(subject.value, ensure_ascii=False).encode("utf-8", "surrogatepass")]
    found = " OR ".join("instr(checkpoint, ?) > 0 OR instr(metadata, ?) > 0" for _ in needles)
    rows = db.execute(
        f"SELECT DISTINCT thread_id FROM checkpoints WHERE substr(thread_id, 1, ?) = ? AND ({found})",
        (len(subject.tenant) + 1, f"{subject.tenant}/", *(needle for needle in needles for _ in range(2))),
    )
    return {thread for (thread,) in rows}


def _letters(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.bin"))
    yield from sorted((folder / "replayed").glob("*.bin"))


def _rewritten(signal: str, data: bytes, subject: Subject, body: Rewriter) -> bytes:
    """A letter without what is erased; what cannot be read goes where it names the subject."""
    scan = records.scan(data)
    kept = []
    for start, length in sorted((*scan.records, *scan.damaged)):
        piece = data[start : start + length]
        record = None
        if (start, length) in scan.records and signal in SIGNALS:
            with contextlib.suppress(ValueError):
                record = records.unframe(piece)
        if record is None:
            kept.append(b"" if body.mentions(piece) else piece)
        elif record.tenant not in ("", subject.tenant):
            kept.append(piece)
        else:
            after = body.rewrite(SIGNALS[signal], record.body)
            if after is None:
                kept.append(b"" if body.mentions(piece) else piece)
            elif after == record.body:
                kept.append(piece)
            else:
                kept.append(b"".join(records.frame(after, record.received_at_ms, record.tenant)))
    return b"".join(kept)
