"""`spanledger up`: the whole system in one process, from open ports to a drained stop."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TextIO

from fastapi import FastAPI

import spanledger
from spanledger import open_files
from spanledger.errors import SettingsError
from spanledger.private import make_private
from spanledger.runtime import memory, priorities, stopping
from spanledger.runtime.age import process_age_s
from spanledger.runtime.checks import check_roles, refuse_open_host
from spanledger.runtime.http_server import Server
from spanledger.runtime.node import DRAIN_S, Node, Say, start_node
from spanledger.runtime.runtime import Runtime, build
from spanledger.settings import Settings
from spanledger.store import running

END_S = 3 * DRAIN_S + 5.0  # after a signal the process has ended, whatever happens
AfterReady = Callable[[str, Say], None]  # gets the API's URL, on a thread of its own
MakeApp = Callable[[Settings], FastAPI]  # the HTTP API, before it has services


def run(settings: Settings, make_app: MakeApp, after_ready: AfterReady | None = None, out: TextIO = sys.stdout) -> int:
    """Serves until SIGTERM or SIGINT, then drains. Raises SettingsError or StoreError when it cannot start."""

    def say(text: str) -> None:
        with contextlib.suppress(OSError):  # the reader of our output is gone; keep serving
            print(text, file=out, flush=True)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while starting; later the loop handles it
    refuse_open_host(settings)
    check_roles(settings)
    open_files.allow_many()
    memory.give_back()
    with ExitStack() as stack:
        listener = _listener(settings)
        if listener is not None:
            stack.enter_context(listener)
        _own_folder(settings)
        with ThreadPoolExecutor(1, "app") as beside:  # while the engine starts
            app = beside.submit(make_app, settings) if listener is not None else None
            node = start_node(settings, stack, say)
        ready = partial(_ready, node, _url(listener), say, after_ready)
        asyncio.run(_serve(node, listener, app.result() if app is not None else None, say, ready))
    running.finish(settings.data_dir)
    say("stopped")
    return 0


def _own_folder(settings: Settings) -> None:
    """Makes the data folder, for our own user alone. Raises SettingsError."""
    try:
        make_private(settings.data_dir)
    except OSError as exc:
        raise SettingsError(f"the data folder {settings.data_dir} cannot be used: {exc.strerror}") from exc


def _listener(settings: Settings) -> socket.socket | None:
    """The API's port, bound; None where the API is off. Raises SettingsError, also for an OTLP port that is in use."""
    serves = settings.port and (settings.plays("api") or settings.plays("chat"))
    listener = _listen(settings.host, settings.port, "port") if serves else None
    for flag, port in (("otlp-http-port", settings.otlp_http_port), ("otlp-grpc-port", settings.otlp_grpc_port)):
        if port and settings.plays("ingest"):  # the door binds it for good
            _listen(settings.host, port, flag).close()
    return listener


def _url(listener: socket.socket | None) -> str:
    """Empty when the API is off."""
    if listener is None:
        return ""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _serve(
    node: Node, listener: socket.socket | None, app: FastAPI | None, say: Say, ready: Callable[[], None]
) -> None:
    """The API until a signal comes; without one it just waits for the signal."""
    stop = asyncio.Event()
    stopping.on_signal(asyncio.get_running_loop(), stop, END_S)
    runtime = build(node, say)
    memory.collect_less()
    priorities.lower_merges()
    try:
        await runtime.start()
        if listener is None or app is None:
            ready()
            await stop.wait()
            say(_waits_for(runtime))
        else:
            runtime.services.attach(app)
            await _serve_http(app, listener, stop, ready, runtime, say)
    finally:
        await runtime.stop()


def _waits_for(runtime: Runtime) -> str:
    """What a stop waits for, reported when it begins."""
    running_now, segments = runtime.runner.in_flight, runtime.node.ingest.health()["spool_segments"]
    waits = f"{running_now} workflows run, {segments} spool segments to load, then what is not settled"
    return f"stopping: {waits}; {END_S:.0f} s at most"


async def _serve_http(
    app: FastAPI,
    listener: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None],
    runtime: Runtime,
    say: Say,
) -> None:
    """Until `stop`; responses that would go on for ever are ended then."""
    server = Server(app, DRAIN_S)
    serving = asyncio.create_task(server.serve([listener]))
    waits = [asyncio.create_task(server.accepts.wait()), asyncio.create_task(stop.wait())]
    await asyncio.wait({serving, waits[0]}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        ready()
    await asyncio.wait({serving, waits[1]}, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    say(_waits_for(runtime))
    await asyncio.to_thread(runtime.end_long_answers)
    server.end()
    await serving


def _ready(node: Node, api_url: str, say: Say, after_ready: AfterReady | None) -> None:
    """Tells other commands and the person where everything is."""
    settings = node.settings
    otlp_http = node.ingest.endpoint
    shown = [
        f"console {api_url}/" if api_url and settings.console and settings.plays("api") else "",
        f"API {api_url}" if api_url else "",
        f"OTLP/HTTP {otlp_http}" if otlp_http and settings.otlp_http_port else "",
        f"OTLP/gRPC {settings.host}:{settings.otlp_grpc_port}" if otlp_http and settings.otlp_grpc_port else "",
    ]
    info = {
        "pid": os.getpid(),
        "version": spanledger.__version__,
        "api_url": api_url,
        "otlp_http_url": otlp_http,
        "otlp_grpc": f"{settings.host}:{settings.otlp_grpc_port}" if otlp_http and settings.otlp_grpc_port else "",
        "roles": settings.roles,
        "store": "a ClickHouse server" if settings.clickhouse_url else "embedded ClickHouse",
    }
    running.announce(settings.data_dir, info)
    say(f"ready in {process_age_s():.1f} s: {' · '.join(s for s in shown if s)} · data {settings.data_dir}")
    if after_ready is not None:
        threading.Thread(target=after_ready, args=(api_url, say), name="after-ready", daemon=True).start()


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
