"""`spanledger export`: takes data out, complete or said to be cut, with progress on stderr."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode

from spanledger.cli.common import TENANT, add_place, existing, opened, place, running_api
from spanledger.errors import BadRequest, StoreError

DESCRIPTION = """\
Takes data out. KIND: messages, calls, spans, ledger, usage or conversations, as JSON lines,
CSV or Parquet; or --otlp: the raw spans as OTLP/JSON, into a file or to a door or Collector."""
EXAMPLES = """\
examples:
  spanledger export calls --format parquet --from 2026-11-01 -o calls.parquet
  spanledger export messages --filter user=ada --filter model=gpt-4o > ada.jsonl
  spanledger export --otlp copy.jsonl              `spanledger ingest copy.jsonl` elsewhere gives equal books
  spanledger export --otlp http://127.0.0.1:4318
"""
KINDS = ("messages", "calls", "spans", "ledger", "usage", "conversations")
_EVERY_S = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help="|".join(KINDS))
    parser.add_argument("--format", choices=("jsonl", "csv", "parquet"), default="jsonl")
    parser.add_argument("--from", dest="start", metavar="T", help="RFC 3339, a date or -24h")
    parser.add_argument("--to", dest="end", metavar="T")
    parser.add_argument("--filter", action="append", default=[], metavar="NAME=VALUE", help="as of the API, repeatable")
    parser.add_argument("--cursor", help="go on where an export was broken off")
    parser.add_argument("--otlp", metavar="FILE|URL", help="raw spans as OTLP/JSON, a request in each line")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    if bool(options.otlp) == bool(options.kind):
        raise BadRequest("say what to export: a KIND, or --otlp FILE or URL")
    if options.otlp:
        return _otlp(options)
    if options.output is None:
        _copy(_pieces(options), sys.stdout.buffer)
        return 0
    draft = options.output.with_name(options.output.name + ".part")
    with draft.open("wb") as file:
        _copy(_pieces(options), file)
    draft.replace(options.output)
    return 0


def _copy(pieces: Iterator[bytes], out: BinaryIO) -> None:
    size, shown = 0, time.monotonic()
    for piece in pieces:
        out.write(piece)
        size += len(piece)
        if time.monotonic() - shown > _EVERY_S:
            shown = time.monotonic()
            _say(f"{size / 1e6:,.1f} MB")
    out.flush()
    _say(f"{size / 1e6:,.1f} MB, done")


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"export: {text}", file=sys.stderr)


def _pieces(options: argparse.Namespace) -> Iterator[bytes]:
    chosen = place(options)
    api = running_api(chosen)
    named = [("from", options.start), ("to", options.end), ("cursor", options.cursor), ("format", options.format)]
    query = [(name, value) for name, value in named if value] + [_pair(text) for text in options.filter]
    if api is not None:
        yield from api.stream(f"/v1/export/{options.kind}?{urlencode(query)}")
        return
    yield from _from_folder(options, chosen)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadRequest(f"--filter {text!r} must look like name=value")
    return name, value


def _from_folder(options: argparse.Namespace, chosen: Any) -> Iterator[bytes]:
    from spanledger.stats import exports, tables, times
    from spanledger.stats.filters import Filter

    equal: dict[str, list[str]] = {}
    for name, value in map(_pair, options.filter):
        equal.setdefault(name, []).append(value)
    window = times.window(options.start, options.end)
    existing(chosen)
    with opened(chosen) as store:
        wanted = exports.Wanted(options.kind, window, Filter(window, equal), equal)
        end = tables.Ending()

        def pages() -> Iterator[tables.Rows]:
            for rows, _ in exports.rows(store, TENANT, wanted, options.cursor):
                end.rows += len(rows)
                yield rows

        yield from tables.encoded(options.format, exports.KINDS[options.kind].columns, pages(), end)


def _otlp(options: argparse.Namespace) -> int:
    from spanledger.client import exchange

    is_url = options.otlp.startswith(("http://", "https://"))
    count = 0
    file = None if is_url else Path(options.otlp).open("wb")  # noqa: SIM115
    try:
        for body, spans in _bodies(options):
            count += spans
            if file is not None:
                file.write(body + b"\n")
                continue
            status, answer = exchange(options.otlp, "POST", "/v1/traces", body, "application/json")
            if status >= 300:
                raise StoreError(f"{options.otlp} answered {status}: {answer[:200].decode(errors='replace')}")
    finally:
        if file is not None:
            file.close()
    print(f"{count} spans exported", file=sys.stderr)
    return 0


def _bodies(options: argparse.Namespace) -> Iterator[tuple[bytes, int]]:
    chosen = place(options)
    api = running_api(chosen)
    named = {"from": options.start, "to": options.end}
    if api is not None:
        query = urlencode({name: value for name, value in named.items() if value})
        pending = b""
        for piece in api.stream(f"/v1/export/otlp?{query}"):
            *lines, pending = (pending + piece).split(b"\n")
            yield from ((line, line.count(b'"spanId"')) for line in lines if line.startswith(b'{"resourceSpans"'))
        return
    from spanledger.stats import otlp_out, times

    existing(chosen)
    with opened(chosen) as store:
        for request, _, spans in otlp_out.requests(store, TENANT, times.window(options.start, options.end)):
            yield json.dumps(request).encode(), spans
