"""`spanledger up`: the whole system in one process, from open ports to a drained stop."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from fastapi import FastAPI

import spanledger
from spanledger import open_files, telemetry
from spanledger.access import operator
from spanledger.access.keys import KeyRing
from spanledger.errors import SettingsError
from spanledger.ingest import meters
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.live import Live
from spanledger.live.lost import instance_of, node_of
from spanledger.pricing import load_book
from spanledger.private import make_private
from spanledger.runtime import memory, platform, stopping
from spanledger.runtime.http_server import Server
from spanledger.runtime.services import Services
from spanledger.runtime.watch import Watch
from spanledger.settings import ROLES, Settings
from spanledger.stats.sandbox.pool import Sandboxes
from spanledger.store import migrate, running
from spanledger.store.client import Store, open_embedded, open_server
from spanledger.store.registry import FILE as REGISTRY_FILE
from spanledger.store.registry import Registry
from spanledger.telemetry import GenAI
from spanledger.workflows import Runner
from spanledger.workflows.embedding import Embedder
from spanledger.workflows.litellm_model import LiteLLM

log = logging.getLogger(__name__)

DRAIN_S = 10.0  # for requests that run, again for what is spooled, and again for what is not settled
END_S = 3 * DRAIN_S + 5.0  # after a signal the process has ended, whatever happens
Say = Callable[[str], None]
AfterReady = Callable[[str, Say], None]  # gets the API's URL, on a thread of its own
CreateApp = Callable[[Services], FastAPI]  # the HTTP API over the services


@dataclass(frozen=True)
class Parts:
    """What is running below the API."""

    settings: Settings
    store: Store
    ledger: Ledger
    ingest: Ingest
    listener: socket.socket | None

    @property
    def api_url(self) -> str:
        """Empty when the API is off."""
        if self.listener is None:
            return ""
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    settings: Settings, create_app: CreateApp, after_ready: AfterReady | None = None, out: TextIO = sys.stdout
) -> int:
    """Serves until SIGTERM or SIGINT, then drains. Raises SettingsError or StoreError when it cannot start."""

    def say(text: str) -> None:
        with contextlib.suppress(OSError):  # whoever read our output has gone; we serve on
            print(text, file=out, flush=True)

    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while starting; later the loop handles it
    refuse_open_host(settings)
    check_roles(settings)
    open_files.allow_many()
    make_private(settings.data_dir)
    memory.give_back()
    with ExitStack() as stack:
        parts = _start(settings, stack, say)
        asyncio.run(_serve(parts, create_app, say, started, after_ready))
    running.finish(settings.data_dir)
    return 0


def _start(settings: Settings, stack: ExitStack, say: Say) -> Parts:
    """Everything below the API, in the order in which it depends on each other; `stack` stops it in reverse."""
    serves = settings.port and (settings.plays("api") or settings.plays("chat"))
    listener = stack.enter_context(_listen(settings.host, settings.port, "port")) if serves else None
    for flag, port in (("otlp-http-port", settings.otlp_http_port), ("otlp-grpc-port", settings.otlp_grpc_port)):
        if port and settings.plays("ingest"):  # the door binds it for good when there is something behind it
            _listen(settings.host, port, flag).close()
    store = stack.enter_context(owned_store(settings))
    clean = running.begin(settings.data_dir)
    migrate.migrate(store, say)
    ledger = Ledger(store, settings)
    operator.renew(settings.data_dir)
    ingest = Ingest(settings, store)
    if settings.plays("settle"):
        if not clean:
            ledger.recover(say)
        ingest.on_loaded(lambda signal: ledger.settler.wake() if signal == "traces" else None)
        ledger.settler.give_way_to(ingest.is_flooded)
        stack.callback(_settle_rest, ledger)
    if settings.plays("ingest"):
        stack.callback(ingest.stop, DRAIN_S)
        ingest.start()
    if settings.plays("settle"):
        ledger.settler.start()
    return Parts(settings, store, ledger, ingest, listener)


def _settle_rest(ledger: Ledger) -> None:
    ledger.settler.stop()
    ledger.settler.settle_now(DRAIN_S)


def refuse_open_host(settings: Settings) -> None:
    """Whoever is not on this machine needs a key. Raises SettingsError."""
    if not settings.needs_keys or has_keys(settings.data_dir):
        return
    asked = "--require-keys" if settings.loopback else f"--host {settings.host} would let others in, and it"
    raise SettingsError(
        f"{asked} needs keys, and there are no keys; make one with `spanledger keys create --tenant default "
        f"--role admin --data-dir {settings.data_dir}`, or stay on 127.0.0.1 (default)"
    )


def has_keys(data_dir: Path) -> bool:
    """Looks without creating the folder."""
    if not (data_dir / REGISTRY_FILE).exists():
        return False
    with closing(Registry(data_dir)) as found:
        return KeyRing(found).any()


def outbox_of(settings: Settings) -> telemetry.Outbox | None:
    """None: what the endpoint does not take is dropped."""
    size = settings.telemetry_outbox_bytes
    return telemetry.Outbox(settings.data_dir / "outbox", size) if size else None


def check_roles(settings: Settings) -> None:
    """Raises SettingsError for parts that would not reach each other."""
    if all(settings.plays(role) for role in ROLES):
        return
    if not settings.clickhouse_url and not all(settings.plays(role) for role in ("ingest", "settle", "api")):
        raise SettingsError(
            "the embedded engine has one process: only chat may be left out (--roles ingest,settle,api); to run roles "
            "apart give a server with --clickhouse-url"
        )
    if settings.plays("chat") and not settings.plays("ingest") and not settings.otlp_endpoint:
        raise SettingsError(
            "chat without ingest has nowhere to send its spans; set SPANLEDGER_OTLP_ENDPOINT to a Collector or to a "
            "process with the ingest role, for example http://127.0.0.1:4318"
        )


@contextmanager
def owned_store(settings: Settings) -> Iterator[Store]:
    """The store of a data folder that this process owns until the end. Raises StoreBusy, StoreError."""
    lock = running.lock_folder(settings.data_dir) if settings.clickhouse_url else contextlib.nullcontext()
    with lock:
        store = open_server(settings.clickhouse_url) if settings.clickhouse_url else open_embedded(settings.data_dir)
        try:
            running.withdraw(settings.data_dir)
            yield store
        finally:
            running.withdraw(settings.data_dir)
            store.close()


async def _serve(parts: Parts, create_app: CreateApp, say: Say, started: float, after_ready: AfterReady | None) -> None:
    """The API until a signal comes; without one it just waits for the signal."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    stopping.on_signal(loop, stop, END_S)
    settings = parts.settings
    endpoint = settings.otlp_endpoint or parts.ingest.endpoint
    token = "" if settings.otlp_endpoint else operator.read(settings.data_dir)  # it is nobody else's business
    instance = instance_of(node_of(settings.data_dir))
    emission = (
        telemetry.start(
            endpoint,
            capture_content=settings.capture_content,
            token=token,
            instance=instance,
            seal_secret=operator.seal_secret(settings.data_dir),
            outbox=outbox_of(settings),
        )
        if endpoint
        else telemetry.off()
    )
    if parts.ingest is not None:
        meters.report(emission.meter("spanledger.ingest"), parts.ingest.health)
    book = load_book([Path(settings.price_book)] if settings.price_book else [])
    genai, model = GenAI(emission), LiteLLM(book, settings.model_timeout_s)
    embedder = Embedder(model, genai, book)
    parts_on_top = platform.build(settings, parts.store, emission, parts.ingest, genai, embedder)
    runner = Runner(
        settings,
        emission,
        book,
        model,
        genai=genai,
        steps=parts_on_top.steps,
        gates=parts_on_top.gates,
        toolbox=parts_on_top.toolbox,
        retriever=parts_on_top.library,
        say=say,
    )
    sandboxes = Sandboxes(parts.store)
    watch = Watch(settings, parts.store, parts.ledger, parts.ingest, emission, runner, instance)
    memory.collect_less()
    try:
        if settings.plays("chat"):
            await parts_on_top.start(runner)
        watch.start()
        if parts.listener is None:
            _ready(parts, say, started, after_ready)
            await stop.wait()
        else:
            services = Services(
                settings,
                emission,
                runner,
                parts.store,
                parts.ledger,
                parts.ingest,
                parts_on_top,
                watch.live,
                watch.canaries,
                sandboxes,
                watch.stalls,
            )
            await _serve_http(
                create_app(services),
                parts.listener,
                stop,
                lambda: _ready(parts, say, started, after_ready),
                partial(_end_long_answers, watch.live, sandboxes),
            )
    finally:
        await watch.stop()
        await parts_on_top.stop()
        await runner.close()
        sandboxes.close()
        parts_on_top.close()
        await asyncio.to_thread(emission.shutdown)


def _end_long_answers(live: Live, sandboxes: Sandboxes) -> None:
    sandboxes.cancel_all()
    live.close()


async def _serve_http(
    app: Any, listener: socket.socket, stop: asyncio.Event, ready: Callable[[], None], ending: Callable[[], None]
) -> None:
    """Until `stop`; `ending` is called then, for responses that would go on for ever."""
    server = Server(app, DRAIN_S)
    serving = asyncio.create_task(server.serve([listener]))
    waits = [asyncio.create_task(server.accepts.wait()), asyncio.create_task(stop.wait())]
    await asyncio.wait({serving, waits[0]}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        ready()
    await asyncio.wait({serving, waits[1]}, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.to_thread(ending)
    server.should_exit = True
    await serving


def _ready(parts: Parts, say: Say, started: float, after_ready: AfterReady | None) -> None:
    """Tells other commands and the person where everything is."""
    settings = parts.settings
    otlp_http = parts.ingest.endpoint
    shown = [
        f"console {parts.api_url}/" if parts.api_url and settings.console and settings.plays("api") else "",
        f"API {parts.api_url}" if parts.api_url else "",
        f"OTLP/HTTP {otlp_http}" if otlp_http and settings.otlp_http_port else "",
        f"OTLP/gRPC {settings.host}:{settings.otlp_grpc_port}" if otlp_http and settings.otlp_grpc_port else "",
    ]
    info = {
        "pid": os.getpid(),
        "version": spanledger.__version__,
        "api_url": parts.api_url,
        "otlp_http_url": otlp_http,
    }
    running.announce(settings.data_dir, info)
    say(f"ready in {time.monotonic() - started:.1f} s: {' · '.join(s for s in shown if s)} · data {settings.data_dir}")
    if after_ready is not None:
        threading.Thread(target=after_ready, args=(parts.api_url, say), name="after-ready", daemon=True).start()


def _listen(host: str, port: int, flag: str) -> socket.socket:
    """Raises SettingsError naming the port and its flag."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as exc:
        raise SettingsError(f"host {host!r} is not an address of this machine: {exc.strerror}") from exc
    listener = socket.socket(family, kind, proto)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(1024)
    except OSError as exc:
        listener.close()
        raise SettingsError(
            f"port {port} cannot be used ({exc.strerror}); stop what uses it or give another --{flag}"
        ) from exc
    return listener
