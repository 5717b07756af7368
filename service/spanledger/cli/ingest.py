"""`spanledger ingest`: loads OTLP files through the same door as the network."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from spanledger.cli.doors import ITEMS, Door, the_door
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import complain, print_json
from spanledger.cli.progress import BYTES, Bar, progress
from spanledger.errors import BadRequest
from spanledger.foreign import json_text

EXAMPLES = """\
  spanledger ingest capture.otlp.pb
  spanledger ingest captures/ exported.logs.jsonl
"""
_SUFFIXES = {".pb": "application/x-protobuf", ".json": "application/json", ".jsonl": "application/json"}
_TOP_LEVEL_KEYS = ("resourceSpans", "resourceLogs", "resourceMetrics", "resource_spans", "resource_logs")


@dataclass
class Tally:
    files: int = 0
    refused: int = 0
    skipped: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def ingest(
    place: Place,
    paths: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="What to load.")],
    as_json: Json = False,
) -> int:
    """Loads OTLP files as if they came over the network.

    .pb (one protobuf request body), .json (one JSON body), .jsonl (one JSON body a line). `.logs.` or `.metrics.` in
    the name tells the signal, otherwise it is traces. A folder is searched for such files; other JSON in it is skipped.
    Returns when the loaded spans are settled. Exit code 1 when a file was refused.
    """
    files = list(_files(paths))
    tally = Tally()
    with progress("ingest", _size(files), BYTES) as bar, the_door(place.settings()) as door:
        for path, explicit in files:
            _load(path, explicit, door, tally, bar)
        bar.tell("settling")
    if as_json:
        counts = {"accepted": dict(tally.accepted), "rejected": dict(tally.rejected), "refused": tally.refused}
        print_json({"files": tally.files, "skipped": tally.skipped, **counts})
    else:
        print(_summary(tally))
    return 1 if tally.refused else 0


def _files(paths: list[Path]) -> Iterator[tuple[Path, bool]]:
    """Files to load and whether each was named itself. Raises BadRequest for a path that is not there."""
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
            if not found:
                raise BadRequest(f"{path} has no .pb, .json or .jsonl files")
            yield from ((p, False) for p in found)
        elif path.is_file():
            if path.suffix not in _SUFFIXES:
                raise BadRequest(f"{path}: the name must end in .pb, .json or .jsonl")
            yield path, True
        else:
            raise BadRequest(f"{path}: there is no such file or folder")


def _size(files: Iterable[tuple[Path, bool]]) -> int:
    total = 0
    for path, _ in files:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def _load(path: Path, explicit: bool, door: Door, tally: Tally, bar: Bar) -> None:
    signal = "logs" if ".logs." in path.name else "metrics" if ".metrics." in path.name else "traces"
    try:
        body = path.read_bytes()
    except OSError as exc:
        _refused(path, f"cannot be read: {exc.strerror}", tally)
        return
    if not explicit and path.suffix == ".json" and not _looks_like_otlp(body):
        tally.skipped += 1
        bar.advance(len(body))
        return
    tally.files += 1
    bodies = [line for line in body.splitlines() if line.strip()] if path.suffix == ".jsonl" else [body]
    for number, one in enumerate(bodies, 1):
        reply = door(signal, one, _SUFFIXES[path.suffix])
        tally.accepted[signal] += reply.accepted
        tally.rejected[signal] += reply.rejected
        if not reply.ok or reply.rejected:
            where = f"line {number}: " if len(bodies) > 1 else ""
            _refused(path, f"{where}{reply.message}", tally)
        bar.advance(len(one) + (path.suffix == ".jsonl"))


def _looks_like_otlp(body: bytes) -> bool:
    try:
        top = json_text.loads(body.decode("utf-8-sig", "replace"))
    except ValueError:
        return True  # let the door say what is wrong with it
    return isinstance(top, dict) and any(key in top for key in _TOP_LEVEL_KEYS)


def _refused(path: Path, message: str, tally: Tally) -> None:
    tally.refused += 1
    complain(f"{path}: {message}")


def _summary(tally: Tally) -> str:
    taken = ", ".join(f"{tally.accepted[signal]} {ITEMS[signal]}" for signal in ITEMS if tally.accepted[signal])
    lines = [f"{tally.files} files: {taken or 'nothing'} loaded and settled"]
    lost = ", ".join(f"{tally.rejected[signal]} {ITEMS[signal]}" for signal in ITEMS if tally.rejected[signal])
    if lost:
        lines.append(f"rejected: {lost}")
    if tally.skipped:
        lines.append(f"skipped: {tally.skipped} JSON files that are not OTLP")
    if tally.refused:
        lines.append(f"refused: {tally.refused}, listed above")
    return "\n".join(lines)
