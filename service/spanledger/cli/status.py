"""`spanledger status`: what runs where, and whether it is well, at a glance."""

import json
import re
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spanledger.cli.doors import ITEMS
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import Column, print_json, print_table, size
from spanledger.client import exchange
from spanledger.errors import StoreError
from spanledger.settings import Settings
from spanledger.store.running import running_instance

EXAMPLES = """\
  spanledger status
  spanledger status --json --data-dir /var/lib/spanledger
"""
MOST_LAG_MS = 5_000
_SHOWN_PARTS = 5
app = application()


@dataclass(frozen=True)
class Line:
    name: str
    ok: bool
    detail: str


@app.command(epilog=examples(EXAMPLES))
@with_place
def status(place: Place, as_json: Json = False) -> int:
    """Shows what runs where, its lag, the size of the data folder by part, the last audit and what was not loaded.

    Exit code 0: a system runs on the data folder and all is well, 1: not. Nothing is written and no data is opened;
    `spanledger doctor` tries a span from end to end.
    """
    chosen = place.settings()
    info = running_instance(chosen.data_dir)
    ready = _ready(info)
    sizes = _sizes(chosen.data_dir)
    lines = [_runs(chosen, info), *_state(ready), *_folder(chosen, sizes)]
    if as_json:
        well = all(line.ok for line in lines)
        shown = {"ok": well, "data_dir": str(chosen.data_dir), "running": info, "sizes_bytes": sizes}
        print_json(shown | {"lines": [asdict(line) for line in lines]})
    else:
        print_table(
            [Column(width=len("FAILED")), Column(), Column()],
            [("ok" if line.ok else "FAILED", line.name, line.detail) for line in lines],
        )
    return 0 if all(line.ok for line in lines) else 1


def _runs(chosen: Settings, info: dict[str, Any] | None) -> Line:
    if info is None:
        return Line("running", False, f"nothing runs on {chosen.data_dir}; `spanledger up` starts it")
    urls = {"API": "api_url", "OTLP/HTTP": "otlp_http_url", "OTLP/gRPC": "otlp_grpc"}
    where = [f"{name} {info[key]}" for name, key in urls.items() if info.get(key)]
    shown = " · ".join(where)
    return Line(
        "running",
        True,
        f"spanledger {info['version']}, process {info['pid']}, roles {info.get('roles', 'unknown')}, "
        f"{info.get('store', 'store unknown')}: {shown or 'no listeners'}",
    )


def _ready(info: dict[str, Any] | None) -> dict[str, Any] | None:
    """What /readyz answers, with status 503 too; None where there is no API."""
    if info is None or not info.get("api_url"):
        return None
    try:
        state: dict[str, Any] = json.loads(exchange(info["api_url"], "GET", "/readyz", None, "application/json")[1])
    except (StoreError, ValueError) as exc:
        return {"problems": [str(exc)]}
    return state


def _state(ready: dict[str, Any] | None) -> list[Line]:
    if ready is None:
        return []
    problems = "; ".join(ready.get("problems", ()))
    lines = [Line("ready", not problems, problems or "takes traffic")]
    if "ingest" not in ready:
        return lines
    ingest, lag = ready["ingest"], ready["lag_ms"]
    lines.append(Line("lag", lag <= MOST_LAG_MS, f"{lag} ms, {size(ready['spool_bytes'])} in the spool"))
    lines.append(Line("door", True, _door(ingest)))
    dropped = {name: count for name, count in ready["telemetry_dropped"].items() if count}
    if dropped:
        shown = ", ".join(f"{count} {name}" for name, count in dropped.items())
        lines.append(Line("telemetry", False, f"our own, dropped since the start: {shown}"))
    return lines


def _door(ingest: dict[str, Any]) -> str:
    """What was accepted and what was not, since the start."""
    accepted, rejected = (
        _counts({ITEMS.get(signal, signal): count for signal, count in ingest[name].items()}) or "nothing"
        for name in ("accepted", "rejected")
    )
    refused = _counts({code: n for code, n in ingest["answers"].items() if not str(code).startswith("2")}, "answers")
    return f"accepted {accepted}; rejected {rejected}" + (f"; refused {refused}" if refused else "")


def _counts(counts: dict[str, int], what: str = "") -> str:
    return ", ".join(" ".join(filter(None, (f"{count:,}", what, str(name)))) for name, count in counts.items() if count)


def _folder(chosen: Settings, sizes: dict[str, int]) -> list[Line]:
    from spanledger.ingest import dead
    from spanledger.ledger import audit_record

    folder = chosen.data_dir
    if not folder.is_dir():
        return [Line("data", False, f"there is no folder {folder}")]
    letters, free = dead.count(folder), shutil.disk_usage(folder).free
    record = audit_record.read(folder)
    largest = [f"{name} {size(count)}" for name, count in list(sizes.items())[:_SHOWN_PARTS]]
    rest = sum(list(sizes.values())[_SHOWN_PARTS:])
    parts = ", ".join([*largest, *([f"other {size(rest)}"] if rest else [])])
    return [
        Line("dead", not letters, f"{letters} dead letters" + ("; `spanledger replay` shows them" if letters else "")),
        Line("audit", record is None or record.balanced, _audited(record)),
        Line("data", True, f"{size(sum(sizes.values()))} in {folder}: {parts or 'nothing'}"),
        Line("disk", free >= chosen.min_free_bytes, f"{size(free)} free"),
    ]


def _audited(record: Any) -> str:
    if record is None:
        return "never; `spanledger audit` compares the books with the raw spans"
    window = f"{record.start or 'the beginning'} to {record.end or 'now'}"
    whose = f", tenant {record.tenant}" if record.tenant else ""
    verdict = "balanced" if record.balanced else f"NOT balanced: {record.differences} differences"
    return f"{record.at}: {verdict}; {record.spans:,} spans, {window}{whose}"


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes on disk by the parts of the data folder, the largest first."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return {}
    parts: Counter[str] = Counter()
    for entry in entries:
        parts[re.sub(r"-(wal|shm)$", "", entry.name)] += _bytes(entry)  # SQLite's files count with their database
    return {name: count for name, count in parts.most_common() if count}


def _bytes(entry: Path) -> int:
    """On disk; files that go while they are counted are nothing."""
    total = 0
    for path in [entry, *entry.rglob("*")] if entry.is_dir() else [entry]:
        try:
            total += path.lstat().st_blocks * 512
        except OSError:
            continue
    return total
