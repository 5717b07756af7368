"""`spanledger tour`: everything the platform does, shown on a running system."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from spanledger import settings
from spanledger.cli.common import running_api
from spanledger.cli.import_ import submit
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import print_json, say
from spanledger.client import Api
from spanledger.errors import BadRequest, SpanledgerError, StoreError
from spanledger.settings import Settings
from spanledger.tour import deciding, keeping, running
from spanledger.tour.tourist import Proof, Tourist

EXAMPLES = """\
  spanledger tour                     leaves nothing behind
  spanledger tour --only 3,9          tools, and limits
  spanledger up &  spanledger tour --running      its messages can be looked at in the console afterwards
"""
STOPS: tuple[Callable[[Tourist], None], ...] = (
    running.lifecycle,
    running.agents,
    running.tools,
    running.retrieval,
    running.memory_and_cache,
    deciding.prompts,
    deciding.experiments,
    deciding.feedback,
    deciding.limits,
    keeping.jobs,
    keeping.audit_trail,
    keeping.analysis,
    keeping.history,
    keeping.behaviour,
)


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def tour(
    place: Place,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh/--running",
            help="On a system of its own that is thrown away afterwards, or on the `spanledger up` that runs on the "
            "data folder: what is set up there is taken back, the messages and the records of two jobs stay.",
        ),
    ] = True,
    only: Annotated[str | None, typer.Option("--only", metavar="N,…", help="These stops, by number.")] = None,
    as_json: Json = False,
) -> int:
    """Shows every feature of the platform on a real system.

    Each step calls the API and shows the answers and the names of the spans that prove them. Exit code 1 if a step
    failed.
    """
    wanted = _chosen(only)
    with _fresh_system() if fresh else nullcontext(place.settings()) as chosen:
        api = running_api(chosen)
        if api is None:
            raise StoreError(f"nothing runs on {chosen.data_dir}; start `spanledger up`, or leave out --running")
        return _go_round(api, wanted, as_json, fresh)


def _chosen(only: str | None) -> set[int]:
    """The numbers of the stops to make. Raises BadRequest for one that is not there."""
    if only is None:
        return set(range(1, len(STOPS) + 1))
    numbers = [text.strip() for text in only.split(",") if text.strip()]
    unknown = [text for text in numbers if not (text.isdecimal() and 1 <= int(text) <= len(STOPS))]
    if unknown or not numbers:
        raise BadRequest(f"--only {only!r}: stops are numbers from 1 to {len(STOPS)}, for example 3,9")
    return {int(text) for text in numbers}


@contextmanager
def _fresh_system() -> Iterator[Settings]:
    """A system with its own data folder, on free ports, as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="spanledger-tour-") as folder:
        data_dir = Path(folder) / "data"
        ports = [f"--port={_free_port()}", f"--otlp-http-port={_free_port()}", "--otlp-grpc-port=0"]
        command = [sys.executable, "-m", "spanledger.cli", "up", f"--data-dir={data_dir}", *ports]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | settings.NO_SETTINGS_FILE
        ) as process:
            assert process.stdout is not None
            say("starting a system for the tour …")
            try:
                ready = next((line for line in process.stdout if line.startswith("ready")), "")
                if not ready:
                    raise StoreError("the system for the tour did not start; its output is shown above")
                say(ready.rstrip())
                yield settings.load(data_dir=data_dir)
            finally:
                process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class _Stop:
    """A stop that was made, and what proves it."""

    number: int
    title: str
    took_s: float
    proof: Proof


def _go_round(api: Api, wanted: set[int], as_json: bool, fresh: bool) -> int:
    made = []
    for number in sorted(wanted):
        stop = _made(api, number, STOPS[number - 1])
        made.append(stop)
        if not as_json:
            _show(stop)
    failed = [stop.number for stop in made if stop.proof.failures]
    if as_json:
        print_json({"failed": failed, "stops": [asdict(stop) for stop in made]})
    else:
        print(f"\n{'every stop did what it should' if not failed else f'stops that did not: {failed}'}")
        if not fresh:
            print("What was set up is taken back. The messages and the records of two jobs stay, as all that was done.")
    return 1 if failed else 0


def _made(api: Api, number: int, stop: Callable[[Tourist], None]) -> _Stop:
    tourist = Tourist(api, stop.__name__.replace("_", "-"), submit)
    started = time.monotonic()
    try:
        stop(tourist)
        tourist.gather_spans()
    except (SpanledgerError, LookupError, TypeError, ValueError) as exc:
        tourist.proof.failures.append(f"{type(exc).__name__}: {exc}")
    try:
        tourist.tidy()
    except SpanledgerError as exc:
        tourist.proof.failures.append(f"it could not take back what it had set up: {exc}")
    return _Stop(number, (stop.__doc__ or "").strip(), round(time.monotonic() - started, 3), tourist.proof)


def _show(stop: _Stop) -> None:
    print(f"\n{stop.number:2}. {stop.title}  ({stop.took_s:.1f} s)")
    print(f"    spans   {', '.join(stop.proof.spans) or '—'}")
    for request, answer in stop.proof.answers:
        print(f"    {request}\n        {answer}")
    for failure in stop.proof.failures:
        print(f"    FAILED  {failure}")
    sys.stdout.flush()
