"""`spanledger doctor`: checks that writing and reading work end to end."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spanledger.cli.common import existing, opened, running_api
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import Column, print_json, print_table
from spanledger.client import Api
from spanledger.errors import SpanledgerError, StoreError
from spanledger.settings import Settings

if TYPE_CHECKING:
    from spanledger.store.client import Store

EXAMPLES = """\
  spanledger doctor
  spanledger doctor --json
"""
_LEAST_FREE = 1024**3
_MOST_LAG_MS = 5_000
_MOST_SKEW_S = 2.0


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def doctor(place: Place, as_json: Json = False) -> int:
    """Checks a canary span from write to read, disk, lag, clock and migrations. Exit code 0: all well, 1: not."""
    chosen = place.settings()
    checks = [_disk(chosen)]
    api = running_api(chosen)
    checks += _running(api) if api is not None else _at_rest(chosen)
    if as_json:
        print_json({"ok": all(c.ok for c in checks), "checks": [asdict(c) for c in checks]})
    else:
        print_table(
            [Column(width=len("FAILED")), Column(), Column()],
            [("ok" if check.ok else "FAILED", check.name, check.detail) for check in checks],
        )
    return 0 if all(check.ok for check in checks) else 1


def _running(api: Api) -> list[Check]:
    """Checks of a running `up` through its API."""
    state = _try("running", lambda: api.get("/readyz"))
    if isinstance(state, Check):
        return [state]
    canary = api.post("/v1/canary", {})
    answer = api.post("/v1/sql", {"query": "SELECT toUnixTimestamp64Milli(now64(3))"})
    lag = state["lag_ms"]
    return [
        Check("running", True, f"version {state['version']}, {state['ingest']['workers_alive']} OTLP workers"),
        Check("migrations", True, "applied when it started"),
        Check("canary", canary["ok"], _canary_detail(canary)),
        Check("lag", lag <= _MOST_LAG_MS, f"{lag} ms behind, {state['spool_bytes']} bytes in the spool"),
        Check("dead", not state["ingest"]["dead_letters"], f"{state['ingest']['dead_letters']} records set aside"),
        _clock(answer["data"][0][0]),
    ]


def _at_rest(chosen: Settings) -> list[Check]:
    """The same on data that no `up` runs on; it is migrated and written to in the process."""
    checks: list[Check] = []
    try:
        existing(chosen)
        with opened(chosen, schema="any") as store:
            checks.append(Check("store", True, f"ClickHouse {store.scalar('SELECT version()')}"))
            checks.append(_migrations(store))
            checks.append(_clock(store.scalar("SELECT toUnixTimestamp64Milli(now64(3))")))
            if checks[1].ok:
                checks.append(_own_canary(chosen, store))
    except SpanledgerError as exc:
        checks.append(Check("store", False, str(exc)))
    return checks


def _own_canary(chosen: Settings, store: "Store") -> Check:
    from spanledger.ingest.service import Ingest
    from spanledger.runtime import canary

    ingest = Ingest(chosen, store)
    ingest.start(listen=False)
    try:
        took = canary.run(ingest, store)
    except StoreError as exc:
        return Check("canary", False, str(exc))
    finally:
        ingest.stop()
    return Check("canary", True, _canary_detail({"ok": True, "readable_after_ms": took}))


def _migrations(store: "Store") -> Check:
    from spanledger.store import migrate

    found = migrate.status(store)
    missing = [file.name for file in found if not file.applied]
    if missing:
        return Check("migrations", False, f"{len(missing)} not applied, first {missing[0]}; run `spanledger migrate`")
    return Check("migrations", True, f"all {len(found)} applied")


def _disk(chosen: Settings) -> Check:
    folder = chosen.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return Check("disk", free >= _LEAST_FREE, f"{free / 1024**3:.1f} GiB free at {folder}")


def _clock(clickhouse_ms: int) -> Check:
    skew = clickhouse_ms / 1000 - time.time()
    return Check("clock", abs(skew) <= _MOST_SKEW_S, f"ClickHouse is {skew:+.3f} s from this machine")


def _canary_detail(canary: dict[str, Any]) -> str:
    return f"readable {canary['readable_after_ms']} ms after it was sent" if canary["ok"] else canary["detail"]


def _try(name: str, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except SpanledgerError as exc:
        return Check(name, False, str(exc))
