"""`spanledger up`: runs everything."""

import argparse
import logging
import sys

from spanledger.access import operator
from spanledger.cli import demo
from spanledger.cli.common import add_place, place
from spanledger.errors import SettingsError
from spanledger.settings import unknown_variables

DESCRIPTION = """\
Runs the whole system in one process: OTLP endpoints, ClickHouse (embedded, or --clickhouse-url), settlement, the
HTTP API and the chat service. Prints `ready` with its URLs when all listeners accept; Ctrl-C drains and stops it."""
EXAMPLES = """\
examples:
  spanledger up --demo                       with a small workload through the real workflows
  spanledger up --port 9000 --otlp-grpc-port 0
  spanledger up --roles ingest,settle,api                        the books of other services, without a chat service
  spanledger up --clickhouse-url http://default:secret@db:8123/spanledger
  spanledger up --clickhouse-url … --roles settle --port 0       one settler for several API replicas
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_place(parser)
    parser.add_argument("--host", metavar="H", help="address of all listeners (default 127.0.0.1)")
    parser.add_argument("--require-keys", action="store_true", default=None, help="on loopback too")
    parser.add_argument("--port", type=int, metavar="PORT", help="HTTP API (default 8000; 0: off)")
    parser.add_argument("--otlp-http-port", type=int, metavar="PORT", help="OTLP over HTTP (default 4318; 0: off)")
    parser.add_argument("--otlp-grpc-port", type=int, metavar="PORT", help="OTLP over gRPC (default 4317; 0: off)")
    parser.add_argument(
        "--no-console", dest="console", action="store_false", default=None, help="no pages at / of the HTTP API"
    )
    parser.add_argument(
        "--roles",
        metavar="R,…",
        help="which parts run here: ingest,settle,chat,api (default: all). Without a server only chat may be left out; "
        "apart, they need --clickhouse-url, and chat needs SPANLEDGER_OTLP_ENDPOINT where ingest is elsewhere",
    )
    parser.add_argument("--capture-content", action="store_true", default=None, help="prompts and answers on spans")
    parser.add_argument("--demo", action="store_true", help="drive a demo workload once ready")


def run(options: argparse.Namespace) -> int:
    from spanledger.runtime import serve
    from spanledger.web.app import create_app

    shown = logging.StreamHandler(sys.stderr)
    shown.setLevel(logging.WARNING)  # what is less goes out as OTLP only
    logging.basicConfig(handlers=[shown], format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = place(
        options,
        host=options.host,
        require_keys=options.require_keys,
        port=options.port,
        console=options.console,
        roles=options.roles,
        otlp_http_port=options.otlp_http_port,
        otlp_grpc_port=options.otlp_grpc_port,
        capture_content=options.capture_content,
    )
    for unknown in unknown_variables():
        print(f"spanledger up: {unknown}", file=sys.stderr)
    if options.demo and not settings.port:
        raise SettingsError("--demo talks to the HTTP API, which --port 0 switches off")
    if options.demo and not settings.plays("chat"):
        raise SettingsError("--demo talks to the chat service; give --roles chat too, or no roles for all")
    return serve.run(
        settings,
        create_app,
        (lambda url, say: demo.play(url, say, operator.read(settings.data_dir), settings.console))
        if options.demo
        else None,
    )
