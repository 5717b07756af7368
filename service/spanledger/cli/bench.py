"""`spanledger bench`: the benchmarks, each on a data folder of its own."""

import importlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from spanledger.bench import steps
from spanledger.cli.options import Json, Place, application, examples, with_config
from spanledger.cli.output import print_json, say
from spanledger.cli.progress import Bar, progress
from spanledger.errors import SettingsError

EXAMPLES = """\
  spanledger bench overhead
  spanledger bench ledger --json > ledger.json
  spanledger bench query --spans 20000000
  spanledger bench soak --minutes 5 --spans-per-s 5000
  spanledger bench ingest --roles ingest,settle,api              the embedded Collector alone
"""
_BENCHMARKS = {
    "ingest": "spans per second from acknowledged to readable",
    "query": "latency of the API's questions over much history",
    "web": "the console's pages over much history: first byte, and usable in Chromium",
    "overhead": "what emission costs an LLM call",
    "live": "freshness: from an answer to its figures, and from an event to 200 readers",
    "ledger": "settlement, its lag, history and re-pricing",
    "masking": "what masking at the door costs a span, by rule",
    "idle": "what an `up` costs that receives nothing, and what its first message takes",
    "attack": "one tenant's traffic while another tenant attacks: what it waits for, and whether any of it is lost",
    "soak": "memory of every process under an even load; exit code 1 when it is not flat",
}

_TAKES = {
    "idle": ("minutes",),
    "attack": ("minutes",),
    "query": ("spans",),
    "web": ("spans",),
    "soak": ("minutes", "spans_per_s", "roles"),
    "ingest": ("roles",),
    "ledger": ("captures",),
}
_MINUTES = {"soak": 20.0, "attack": 30.0, "idle": 10.0}  # how long they run without --minutes
_MEANING = "; ".join(f"{name}: {meaning}" for name, meaning in _BENCHMARKS.items())
Benchmark = Literal["ingest", "query", "web", "overhead", "live", "ledger", "masking", "idle", "attack", "soak"]
app = application()


@app.command(epilog=examples(EXAMPLES))
@with_config
def bench(
    place: Place,
    benchmark: Annotated[Benchmark, typer.Argument(metavar="BENCHMARK", help=_MEANING, show_choices=False)],
    as_json: Json = False,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", metavar="N", help="How long `soak` (default 20), `attack` (30) or `idle` (10) runs."),
    ] = None,
    spans: Annotated[
        int | None,
        typer.Option("--spans", metavar="N", help="How much history `query` and `web` make (default 4000000)."),
    ] = None,
    spans_per_s: Annotated[
        float | None,
        typer.Option(
            "--spans-per-s",
            metavar="N",
            help="The load of `soak` (default 10000: half of what two cores store and settle).",
        ),
    ] = None,
    captures: Annotated[
        Path | None,
        typer.Option(
            "--captures",
            metavar="PATH",
            help="Recorded traffic for `ledger`: a folder or .tar.xz of bodies and truth files "
            "(default: the checkout's).",
        ),
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(
            "--roles",
            metavar="R,…",
            help="Roles of the `up` that `ingest` and `soak` start, such as ingest,settle,api (without chat).",
        ),
    ] = None,
) -> int:
    """Runs a benchmark on generated data that is deleted afterwards; your data is not touched."""
    flags = {"minutes": minutes, "spans": spans, "spans_per_s": spans_per_s, "captures": captures, "roles": roles}
    given = {name: value for name, value in flags.items() if value is not None}
    if unfit := [name for name in given if name not in _TAKES.get(benchmark, ())]:
        raise SettingsError(f"bench {benchmark} takes no --{unfit[0].replace('_', '-')}")
    runs_s = 60 * (minutes or _MINUTES[benchmark]) if benchmark in _MINUTES else None
    with progress(f"bench {benchmark}", runs_s, "s") as bar, _ticking(bar, runs_s):
        steps.listen(bar.tell if bar.shown else say)
        figures: dict[str, Any] = importlib.import_module(f"spanledger.bench.{benchmark}").run(**given)
    if as_json:
        print_json(figures)
    else:
        print("\n".join(_lines(figures)))
    return 0 if figures.get("flat", True) else 1


@contextmanager
def _ticking(bar: Bar, runs_s: float | None) -> Iterator[None]:
    """Moves the bar of a benchmark that runs for a known time."""
    if runs_s is None or not bar.shown:
        yield
        return
    ended = threading.Event()

    def tick() -> None:
        began = time.monotonic()
        while not ended.wait(0.5):
            bar.update(min(time.monotonic() - began, runs_s))

    thread = threading.Thread(target=tick, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _lines(figures: dict[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name:32} {value}")
    return lines
