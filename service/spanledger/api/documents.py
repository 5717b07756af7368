"""Documents and what is found in them: `/v1/documents…`, `/v1/retrieval/…`."""

import base64
import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.datastructures import UploadFile

from spanledger.api.inputs import Id, Text
from spanledger.api.reader import Reads, checked_id, only, whole_number
from spanledger.errors import BadRequest, Refused
from spanledger.retrieval import Library
from spanledger.retrieval.library import MAX_TOP_K
from spanledger.retrieval.shelf import Document
from spanledger.retrieval.text import NewDocument, new_document
from spanledger.runtime.platform import Platform
from spanledger.runtime.services import Caller, Services, services_of
from spanledger.stats import retrieval as stats
from spanledger.stats.times import format_time, window
from spanledger.workflows import Order, Runner

router = APIRouter(tags=["documents"])

_Metadata = Annotated[dict[Id, Annotated[Text, Field(max_length=4096)]], Field(max_length=64)]


class DocumentBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Text
    name: Text = ""
    content_type: Text = "text/plain"
    metadata: _Metadata = {}
    user_id: Id | None = None


class Search(BaseModel):
    """`document_ids`: only in these; without, in all of the tenant's."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[Text, Field(min_length=1, max_length=100_000)]
    top_k: Annotated[int, Field(ge=1, le=MAX_TOP_K)] = 5
    document_ids: Annotated[list[Id], Field(max_length=1000)] = []
    user_id: Id | None = None


class _Parts:
    def __init__(self, services: Annotated[Services, Depends(services_of)], principal: Caller) -> None:
        platform: Platform = services.platform  # type: ignore[assignment]
        self.runner: Runner = services.runner
        self.library: Library = platform.library
        self.principal = principal
        self.tenant = principal.tenant

    def order(self, user_id: str | None) -> Order:
        return Order(principal=self.principal, user_id=user_id or "")


Parts = Annotated[_Parts, Depends()]


@router.post("/v1/documents")
async def add(request: Request, parts: Parts) -> Response:
    """Takes a text as JSON (`{text, name, content_type, metadata}`), as the body itself (`text/plain`, `text/markdown`;
    its name in `?name=`) or as a form with `file`. 201 for a new one, 200 for content that is here already."""
    new, user_id = await _read(request)
    async with parts.runner.admitted(parts.order(user_id)) as run:
        added = await parts.library.add(run, new)
    return JSONResponse({**_shown(added.document), "new": added.new}, 201 if added.new else 200)


@router.get("/v1/documents")
async def documents(request: Request, parts: Parts) -> dict[str, Any]:
    """The tenant's documents, the newest first; `next_cursor` leads to the next page."""
    only(request, ("limit", "cursor"))
    limit = whole_number(request, "limit", 50, 1, 1000)
    found = await parts.library.documents(parts.tenant, _after(request.query_params.get("cursor")), limit + 1)
    more = len(found) > limit
    return {"items": [_shown(d) for d in found[:limit]], "next_cursor": _cursor(found[limit - 1]) if more else None}


@router.get("/v1/documents/{document_id}")
async def document(request: Request, document_id: str, parts: Parts) -> dict[str, Any]:
    """One document with its passages."""
    only(request, ())
    found, passages = await parts.library.document(parts.tenant, checked_id(document_id, "document_id"))
    return {**_shown(found), "passages": passages}


@router.delete("/v1/documents/{document_id}")
async def remove(document_id: str, parts: Parts) -> dict[str, Any]:
    """Removes a document: nothing finds it any more, and its text is overwritten."""
    await parts.library.remove(parts.tenant, checked_id(document_id, "document_id"))
    return {"removed": document_id}


@router.post("/v1/retrieval/search")
async def search(body: Search, parts: Parts) -> dict[str, Any]:
    """The passages that are nearest to the query in meaning, best first."""
    async with parts.runner.admitted(parts.order(body.user_id)) as run:
        hits = await parts.library.search(run, body.query, body.top_k, body.document_ids)
    return {"items": [asdict(hit) for hit in hits]}


@router.get("/v1/retrieval/usage")
def usage(request: Request, reads: Reads) -> stats.Retrieval:
    """Searches in `[from, to)`, what they found, and what the tenant's embeddings used."""
    only(request, ("from", "to"))
    asked = request.query_params
    return stats.retrieval(reads.store, reads.tenant, window(asked.get("from"), asked.get("to")))


async def _read(request: Request) -> tuple[NewDocument, str | None]:
    """The document of a request, and the user for whom it is. Raises BadRequest, TooLarge."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        only(request, ())
        return _of_json(await request.body())
    _refuse_foreign_page(request)
    if kind == "multipart/form-data":
        return await _of_form(request)
    only(request, ("name", "user_id"))
    asked = request.query_params
    return new_document(await request.body(), asked.get("name", ""), kind), _user(asked.get("user_id"))


def _of_json(raw: bytes) -> tuple[NewDocument, str | None]:
    try:
        body = DocumentBody.model_validate_json(raw)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadRequest(f"{where}: {first['msg']}" if where else first["msg"]) from exc
    return new_document(body.text, body.name, body.content_type, body.metadata), body.user_id


async def _of_form(request: Request) -> tuple[NewDocument, str | None]:
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadRequest("the form needs a file in its field 'file'")
        kind = file.content_type or ""
        name = str(form.get("name") or file.filename or "")
        if kind in ("", "application/octet-stream"):  # what clients say of what they do not know
            kind = "text/markdown" if name.lower().endswith((".md", ".markdown")) else "text/plain"
        user_id = form.get("user_id")
        return new_document(await file.read(), name, kind), _user(user_id if isinstance(user_id, str) else None)


def _user(user_id: str | None) -> str | None:
    return checked_id(user_id, "user_id") if user_id else None


def _refuse_foreign_page(request: Request) -> None:
    """Forms and plain text are what any web page may send to this machine without being asked first."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refused("documents are not taken from the pages of other sites")


_Cursor = TypeAdapter(tuple[int, str])


def _cursor(last: Document) -> str:
    return base64.urlsafe_b64encode(json.dumps([last.created_us, last.document_id]).encode()).decode()


def _after(cursor: str | None) -> tuple[int, str] | None:
    if not cursor:
        return None
    try:
        return _Cursor.validate_json(base64.urlsafe_b64decode(cursor))
    except ValueError as exc:
        raise BadRequest("cursor is not one that this API gave") from exc


def _shown(document: Document) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(document).items() if name not in ("revision", "created_us")}
    return {**shown, "user_id": document.user_id or None, "created_at": format_time(document.created_us * 1000)}
