"""The dead-letter folder: acknowledged records that cannot be loaded, each with its reason.

`<data_dir>/spool/dead/<id>.bin`          the bytes of the record, as in the spool
`<data_dir>/spool/dead/<id>.reason.txt`   why
`<data_dir>/spool/dead/replayed/`         records that were sent again; they can be deleted
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from spanledger.errors import NotFound
from spanledger.ingest import records
from spanledger.ingest.answers import Answer
from spanledger.ingest.signals import SIGNALS

DAMAGED = "torn or damaged record"
_BYTES, _REASON = ".bin", ".reason.txt"

Submit = Callable[[str, bytes, str, str], Answer]  # signal, body, content type, tenant


@dataclass(frozen=True)
class DeadLetter:
    """`records`: how many in it are intact; without one there is nothing that could be sent again."""

    id: str
    signal: str
    reason: str
    size_bytes: int
    set_aside_at: float  # Unix time
    records: int
    digest: str  # of the bodies of those records

    def as_dict(self) -> dict[str, Any]:
        at = datetime.fromtimestamp(self.set_aside_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "id": self.id,
            "signal": self.signal,
            "reason": self.reason,
            "size_bytes": self.size_bytes,
            "set_aside_at": at,
            "records": self.records,
        }


@dataclass(frozen=True)
class Outcome:
    """What became of a letter. `detail` says why it stays."""

    id: str
    result: Literal["replayed", "refused", "damaged"]
    detail: str = ""


def folder(data_dir: Path) -> Path:
    return data_dir / "spool" / "dead"


def bury(data_dir: Path, signal: str, name: str, data: bytes, reason: str) -> Path:
    """Sets bytes aside under a name that is unique for the signal; returns where."""
    path = folder(data_dir) / f"{signal}-{name}{_BYTES}"
    path.with_suffix(_REASON).write_text(reason + "\n")
    draft = path.with_suffix(".new")
    draft.write_bytes(data)
    draft.replace(path)
    return path


def count(data_dir: Path) -> int:
    return len(_ids(data_dir))


def letters(data_dir: Path) -> list[DeadLetter]:
    """All of them, the oldest first."""
    found = [_read(data_dir, name) for name in _ids(data_dir)]
    return sorted((letter for letter in found if letter is not None), key=lambda letter: letter.set_aside_at)


def replay(data_dir: Path, ids: Sequence[str], submit: Submit, flush: Callable[[], bool]) -> list[Outcome]:
    """Sends letters through the door again; what goes through and is loaded moves to `replayed`.

    What is set aside once more keeps its id and gets the new reason. Killed in between, a letter may be sent twice.
    Raises NotFound for an id that is not there.
    """
    known = {letter.id: letter for letter in letters(data_dir)}
    unknown = [name for name in ids if name not in known]
    if unknown:
        raise NotFound(f"there is no dead letter {unknown[0]!r}; `spanledger replay --list` shows them")
    chosen = [known[name] for name in ids] if ids else list(known.values())
    first = {letter.id: _send(data_dir, letter, submit) for letter in chosen}
    loaded = flush()
    again = {letter.digest: letter for letter in letters(data_dir) if letter.id not in known}
    return [_conclude(data_dir, letter, first[letter.id], again.get(letter.digest), loaded) for letter in chosen]


def _send(data_dir: Path, letter: DeadLetter, submit: Submit) -> Outcome:
    """All of its records, until one is refused."""
    if not letter.records:
        return Outcome(letter.id, "damaged", "it holds no intact record")
    for record in _records(_path(data_dir, letter.id, _BYTES).read_bytes()):
        answer = submit(letter.signal, record.body, "application/x-protobuf", record.tenant)
        if not answer.ok:
            return Outcome(letter.id, "refused", f"{answer.status}: {answer.message}")
    return Outcome(letter.id, "replayed")


def _conclude(data_dir: Path, letter: DeadLetter, sent: Outcome, again: DeadLetter | None, loaded: bool) -> Outcome:
    if sent.result != "replayed":
        return sent
    if again is not None:
        _path(data_dir, letter.id, _REASON).write_text(again.reason + "\n")
        for suffix in (_BYTES, _REASON):
            _path(data_dir, again.id, suffix).unlink()
        return Outcome(letter.id, "refused", again.reason)
    done = folder(data_dir) / "replayed"
    done.mkdir(exist_ok=True)
    for suffix in (_BYTES, _REASON):
        with contextlib.suppress(FileNotFoundError):
            _path(data_dir, letter.id, suffix).rename(done / f"{letter.id}{suffix}")
    return Outcome(letter.id, "replayed", "" if loaded else "spooled; it is not loaded yet")


def _ids(data_dir: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return [path.name.removesuffix(_BYTES) for path in folder(data_dir).iterdir() if path.suffix == _BYTES]
    return []


def _path(data_dir: Path, name: str, suffix: str) -> Path:
    return folder(data_dir) / f"{name}{suffix}"


def _read(data_dir: Path, name: str) -> DeadLetter | None:
    """None when it is gone, or is no letter of ours."""
    signal = name.partition("-")[0]
    path = _path(data_dir, name, _BYTES)
    try:
        data, at = path.read_bytes(), path.stat().st_mtime
    except FileNotFoundError:
        return None
    if signal not in SIGNALS:
        return None
    try:
        reason = _path(data_dir, name, _REASON).read_text().strip()
    except FileNotFoundError:
        reason = "unknown"
    found = _records(data)
    digest = hashlib.sha256(b"".join(hashlib.sha256(record.body).digest() for record in found)).hexdigest()
    return DeadLetter(name, signal, reason, len(data), at, len(found), digest)


def _records(data: bytes) -> list[records.Record]:
    found = []
    for start, length in records.scan(data).records:
        with contextlib.suppress(ValueError):  # intact, and yet no protobuf: there is nothing that the door would take
            found.append(records.unframe(data[start : start + length]))
    return found
