"""`spanledger up`: runs everything."""

import gc
import logging
import sys
from typing import Annotated

import typer

from spanledger.cli import demo as demonstration
from spanledger.cli.options import Place, application, examples, with_place
from spanledger.cli.output import log_level, say
from spanledger.errors import SettingsError
from spanledger.settings import find_file

EXAMPLES = """\
  spanledger up --demo                       with a small workload through the real workflows
  spanledger up --port 9000 --otlp-grpc-port 0
  spanledger up --roles ingest,settle,api                        the books of other services, without a chat service
  spanledger up --clickhouse-url http://default:secret@db:8123/spanledger
  spanledger up --clickhouse-url … --roles settle --port 0       one settler for several API replicas
"""
Port = int | None
app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def up(
    place: Place,
    host: Annotated[
        str | None, typer.Option("--host", metavar="H", help="Address of all listeners (default 127.0.0.1).")
    ] = None,
    require_keys: Annotated[bool, typer.Option("--require-keys", help="Require API keys on loopback too.")] = False,
    port: Annotated[Port, typer.Option("--port", metavar="PORT", help="HTTP API (default 8000; 0: off).")] = None,
    otlp_http_port: Annotated[
        Port, typer.Option("--otlp-http-port", metavar="PORT", help="OTLP over HTTP (default 4318; 0: off).")
    ] = None,
    otlp_grpc_port: Annotated[
        Port, typer.Option("--otlp-grpc-port", metavar="PORT", help="OTLP over gRPC (default 4317; 0: off).")
    ] = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="No pages at / of the HTTP API.")] = False,
    roles: Annotated[
        str | None,
        typer.Option(
            "--roles",
            metavar="R,…",
            help="Which parts run here: ingest,settle,chat,api (default: all). Without a server only chat may be left "
            "out; apart, they need --clickhouse-url, and chat SPANLEDGER_OTLP_ENDPOINT where ingest is elsewhere.",
        ),
    ] = None,
    capture_content: Annotated[bool, typer.Option("--capture-content", help="Prompts and answers on spans.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Drive a demo workload once ready.")] = False,
) -> int:
    """Runs the whole system in one process.

    OTLP endpoints, ClickHouse (embedded, or --clickhouse-url), settlement, the HTTP API and the chat service. Prints
    `ready` with its URLs when all listeners accept; Ctrl-C drains and stops it.
    """
    gc.disable()  # nearly all objects of a start are kept; `memory.collect_less` enables the collector again
    from spanledger.runtime import serve
    from spanledger.web.app import app_with_pages

    shown = logging.StreamHandler(sys.stderr)
    shown.setLevel(log_level())  # what is less goes out as OTLP only
    logging.basicConfig(handlers=[shown], format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = place.settings(
        host=host,
        require_keys=require_keys or None,
        port=port,
        console=False if no_console else None,
        roles=roles,
        otlp_http_port=otlp_http_port,
        otlp_grpc_port=otlp_grpc_port,
        capture_content=capture_content or None,
    )
    if file := find_file(place.config):
        say(f"settings file {file}")
    if demo and not settings.port:
        raise SettingsError("--demo talks to the HTTP API, which --port 0 switches off")
    if demo and not settings.plays("chat"):
        raise SettingsError("--demo talks to the chat service; give --roles chat too, or no roles for all")
    return serve.run(
        settings,
        app_with_pages,
        (lambda url, say: demonstration.play(url, say, settings.data_dir, settings.console)) if demo else None,
    )
