"""`spanledger export`: exports data, states whether it is complete, with progress on stderr."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, get_args
from urllib.parse import urlencode

import typer

from spanledger.cli.common import TENANT, existing, opened, running_api
from spanledger.cli.options import Place, Since, Until, application, examples, with_place
from spanledger.cli.output import say, size
from spanledger.cli.progress import BYTES, progress
from spanledger.errors import BadRequest, StoreError

EXAMPLES = """\
  spanledger export calls --format parquet --from 2026-11-01 -o calls.parquet
  spanledger export messages --filter user=ada --filter model=gpt-4o > ada.jsonl
  spanledger export --otlp copy.jsonl              `spanledger ingest copy.jsonl` elsewhere gives equal books
  spanledger export --otlp http://127.0.0.1:4318
"""
Kind = Literal["messages", "calls", "spans", "ledger", "usage", "conversations", "users"]
Format = Literal["jsonl", "csv", "parquet"]


@dataclass(frozen=True)
class _Export:
    """What the command line asks for."""

    place: Place
    kind: Kind
    format: Format
    start: str | None
    end: str | None
    filters: list[str]
    cursor: str | None


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def export(
    place: Place,
    kind: Annotated[Kind | None, typer.Argument(metavar="KIND", help="|".join(get_args(Kind)))] = None,
    format: Annotated[Format, typer.Option("--format", help="Form of the rows.")] = "jsonl",
    start: Since = None,
    end: Until = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="NAME=VALUE", help="A filter of the API; repeatable.")
    ] = None,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Resume an interrupted export at this cursor.")] = None,
    otlp: Annotated[
        str | None,
        typer.Option("--otlp", metavar="FILE|URL", help="Raw spans as OTLP/JSON, one request a line."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: standard output.")
    ] = None,
) -> int:
    """Exports data, and states at the end whether the export is complete.

    KIND as JSON lines, CSV or Parquet; or --otlp: the raw spans as OTLP/JSON, into a file or to an endpoint or
    Collector.
    """
    wanted = _Export(place, kind or "spans", format, start, end, filters or [], cursor)
    if bool(otlp) == bool(kind):
        raise BadRequest("say what to export: a KIND, or --otlp FILE or URL")
    if otlp:
        return _otlp(wanted, otlp)
    if output is None:
        _copy(_pieces(wanted), sys.stdout.buffer)
        return 0
    draft = output.with_name(output.name + ".part")
    with draft.open("wb") as file:
        _copy(_pieces(wanted), file)
    draft.replace(output)
    return 0


def _copy(pieces: Iterator[bytes], out: BinaryIO) -> None:
    written = 0
    with progress("export", unit=BYTES) as bar:
        for piece in pieces:
            out.write(piece)
            written += len(piece)
            bar.advance(len(piece))
        out.flush()
    if bar.shown:
        say(f"{size(written)} exported")


def _pieces(wanted: _Export) -> Iterator[bytes]:
    chosen = wanted.place.settings()
    api = running_api(chosen)
    named = [("from", wanted.start), ("to", wanted.end), ("cursor", wanted.cursor), ("format", wanted.format)]
    query = [(name, value) for name, value in named if value] + [_pair(text) for text in wanted.filters]
    if api is not None:
        yield from api.stream(f"/v1/export/{wanted.kind}?{urlencode(query)}")
        return
    yield from _from_folder(wanted, chosen)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadRequest(f"--filter {text!r} must look like name=value")
    return name, value


def _from_folder(wanted: _Export, chosen: Any) -> Iterator[bytes]:
    from spanledger.stats import exports, tables, times
    from spanledger.stats.filters import Filter

    equal: dict[str, list[str]] = {}
    for name, value in map(_pair, wanted.filters):
        equal.setdefault(name, []).append(value)
    window = times.window(wanted.start, wanted.end)
    existing(chosen)
    with opened(chosen) as store:
        question = exports.Wanted(wanted.kind, window, Filter(window, equal), equal)
        end = tables.Ending()

        def pages() -> Iterator[tables.Rows]:
            for rows, _ in exports.rows(store, TENANT, question, wanted.cursor):
                end.rows += len(rows)
                yield rows

        yield from tables.encoded(wanted.format, exports.KINDS[wanted.kind].columns, pages(), end)


def _otlp(wanted: _Export, target: str) -> int:
    from spanledger.client import exchange

    is_url = target.startswith(("http://", "https://"))
    count = 0
    file = None if is_url else Path(target).open("wb")  # noqa: SIM115
    try:
        with progress("export", unit="spans") as bar:
            for body, spans in _bodies(wanted):
                count += spans
                bar.advance(spans)
                if file is not None:
                    file.write(body + b"\n")
                    continue
                status, answer = exchange(target, "POST", "/v1/traces", body, "application/json")
                if status >= 300:
                    raise StoreError(f"{target} answered {status}: {answer[:200].decode(errors='replace')}")
    finally:
        if file is not None:
            file.close()
    say(f"{count} spans exported")
    return 0


def _bodies(wanted: _Export) -> Iterator[tuple[bytes, int]]:
    chosen = wanted.place.settings()
    api = running_api(chosen)
    named = {"from": wanted.start, "to": wanted.end}
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
        for request, _, spans in otlp_out.requests(store, TENANT, times.window(wanted.start, wanted.end)):
            yield json.dumps(request).encode(), spans
