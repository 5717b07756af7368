"""Exports: `/v1/export/…`."""

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Literal, TypeVar, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from spanledger.api.filters import MessageFilter
from spanledger.api.reader import Reads
from spanledger.api.windows import Windowed
from spanledger.errors import BadRequest
from spanledger.stats import export_pages, exports, otlp_out, tables

router = APIRouter(tags=["export"])

T = TypeVar("T")
What = Literal["messages", "calls", "spans", "ledger", "usage", "conversations", "users"]


class ExportQuery(MessageFilter):
    """Filters as of /v1/messages; the other kinds take those of their own columns.
    `limit`: rows at most (whole pages); the end of the file then names the `cursor` to go on with."""

    format: tables.Format = Field("jsonl", description="jsonl, csv or parquet")
    limit: int | None = Field(None, ge=1, le=10**12, description="rows at most, in whole pages")
    cursor: str | None = Field(None, max_length=4096, description="where the export before ended")


_TEXT = {"schema": {"type": "string"}}


class OtlpQuery(Windowed):
    """`after`: the last trace of an export that was broken off; `limit`: spans at most (whole requests)."""

    after: str = Field("", max_length=256, description="the last trace of the export before")
    limit: int | None = Field(None, ge=1, le=10**12, description="spans at most, in whole requests")


@router.get(
    "/v1/export/otlp",
    operation_id="export_otlp",
    response_class=StreamingResponse,
    responses={200: {"description": "JSON lines", "content": {tables.MEDIA_TYPES["jsonl"]: _TEXT}}},
)
def export_otlp(reads: Reads, query: Annotated[OtlpQuery, Query()]) -> StreamingResponse:
    """The raw spans as OTLP/JSON, an export request of whole traces in each line; the last line counts the spans."""
    body = _first_at_once(_otlp_lines(reads, query))
    return StreamingResponse(body, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


def _otlp_lines(reads: Reads, query: OtlpQuery) -> Iterator[bytes]:
    count = 0
    for request, last, spans in otlp_out.requests(reads.store, reads.tenant, query.window, query.after):
        count += spans
        yield json.dumps(request).encode() + b"\n"
        if query.limit is not None and count >= query.limit:
            yield json.dumps({"end": {"spans": count, "complete": False, "after": last}}).encode() + b"\n"
            return
    yield json.dumps({"end": {"spans": count, "complete": True}}).encode() + b"\n"


def _route(what: What) -> Callable[..., StreamingResponse]:
    """The route of one kind of rows."""

    def export(request: Request, reads: Reads, query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
        wanted = _wanted(what, query, request)
        end = tables.Ending()
        rows = exports.rows(reads.store, reads.tenant, wanted, query.cursor)
        pages = _first_at_once(_limited(rows, query.limit, end))
        headers = {
            "Content-Disposition": f'attachment; filename="{what}.{query.format}"',
            "Cache-Control": "no-store",
        }
        body = tables.encoded(query.format, exports.KINDS[what].columns, pages, end)
        return StreamingResponse(body, media_type=tables.MEDIA_TYPES[query.format], headers=headers)

    return export


for _what in get_args(What):
    router.add_api_route(
        f"/v1/export/{_what}",
        _route(_what),
        methods=["GET"],
        operation_id=f"export_{_what}",
        summary=f"All {_what} that fit, streamed",
        description=(
            "Everything that fits, streamed. The end says how many rows there are and that it is complete: the last "
            "line of JSON lines and CSV, metadata `spanledger.end` of Parquet; a file without it is cut."
        ),
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "JSON lines, CSV or Parquet",
                "content": {
                    "text/csv": _TEXT,
                    tables.MEDIA_TYPES["jsonl"]: _TEXT,
                    tables.MEDIA_TYPES["parquet"]: {"schema": {"type": "string", "format": "binary"}},
                },
            }
        },
    )


def _wanted(what: What, query: ExportQuery, request: Request) -> exports.Wanted:
    found = query.filter(request)
    if what == "messages":
        return exports.Wanted(what, query.window, found)
    if found.attributes or found.text or not all(r.is_open for r in (found.cost_usd, found.tokens, found.duration_ms)):
        raise BadRequest(f"{what} cannot be filtered by attributes, content or ranges; messages can")
    if what == "conversations" and (others := found.equal.keys() - {"user"}):
        raise BadRequest(f"conversations cannot be filtered by {sorted(others)[0]!r}; they can by user")
    if what == "users" and found.equal:
        raise BadRequest("users cannot be filtered; the window says whose calls are counted")
    return exports.Wanted(what, query.window, equal=found.equal)


def _limited(pages: Iterator[export_pages.Page], limit: int | None, end: tables.Ending) -> Iterator[tables.Rows]:
    for rows, place in pages:
        end.rows += len(rows)
        if limit is not None and end.rows >= limit:
            end.next_cursor = exports.cursor_at(place)
            yield rows
            return
        yield rows


def _first_at_once(pages: Iterator[T]) -> Iterator[T]:
    """The same pages; an invalid request raises before the response has begun."""
    first = next(pages, None)

    def all_of_them() -> Iterator[T]:
        if first is not None:
            yield first
            yield from pages

    return all_of_them()
