"""Documents and retrieval: `/v1/documents…`, `/v1/retrieval/…`."""

import base64
import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.datastructures import UploadFile

from spanledger.api.inputs import Id, Text
from spanledger.api.listing import ListingRoute
from spanledger.api.names import Parts
from spanledger.api.parameters import Cursor, DocumentId, Window, limit
from spanledger.api.reader import AppServices, Reads, checked_id
from spanledger.api.schemas import documents as schemas
from spanledger.api.schemas.common import NO_CONTENT, Items, Page, Problem
from spanledger.errors import BadRequest, Refused
from spanledger.retrieval.library import MAX_TOP_K, MIN_SCORE
from spanledger.retrieval.shelf import Document
from spanledger.retrieval.text import FILE_TYPES, NewDocument, document_of, kind_of_name, new_document
from spanledger.runtime.services import Caller
from spanledger.stats import retrieval as stats
from spanledger.stats.times import format_time
from spanledger.workflows import Order

router = APIRouter(tags=["documents"], route_class=ListingRoute)

_MOST_METADATA = 16_384  # characters of a document: a list shows those of a thousand


def _short_together(metadata: dict[str, str]) -> dict[str, str]:
    if sum(len(key) + len(value) for key, value in metadata.items()) > _MOST_METADATA:
        raise ValueError(f"metadata may have {_MOST_METADATA:,} characters together")
    return metadata


_Metadata = Annotated[
    dict[Id, Annotated[Text, Field(max_length=4096)]], Field(max_length=64), AfterValidator(_short_together)
]


class DocumentBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Text
    name: Text = ""
    content_type: Text = "text/plain"
    metadata: _Metadata = {}
    user_id: Id | None = None


class DocumentForm(BaseModel):
    """`file` is a text, PDF or DOCX file; its own name is the document's unless `name` gives another."""

    file: bytes
    name: Text = ""
    user_id: Id | None = None


class Search(BaseModel):
    """`document_ids`: only in these; without, in all of the tenant's. `min_score`: no passage below this similarity."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[Text, Field(min_length=1, max_length=100_000)]
    top_k: Annotated[int, Field(ge=1, le=MAX_TOP_K)] = 5
    document_ids: Annotated[list[Id], Field(max_length=1000)] = []
    min_score: Annotated[float, Field(ge=-1, le=1)] = MIN_SCORE
    user_id: Id | None = None


class _Shelves:
    """The library, and whose it is for one request."""

    def __init__(self, services: AppServices, parts: Parts, principal: Caller) -> None:
        self.runner = services.runner
        self.library = parts.library
        self.principal = principal
        self.tenant = principal.tenant

    def order(self, user_id: str | None) -> Order:
        return Order(principal=self.principal, user_id=user_id or "")


Shelves = Annotated[_Shelves, Depends()]
# A document is sent in one of several forms, so the body is read by hand and declared here.
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/DocumentBody"}},
            "text/plain": {"schema": {"type": "string"}},
            "text/markdown": {"schema": {"type": "string"}},
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in FILE_TYPES},
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/DocumentForm"}},
        },
    }
}
OfName = Annotated[str, Query(max_length=1000, description="The document's name, where the body is its text.")]
ForUser = Annotated[str, Query(max_length=256, description="The user who brings it, where the body is its text.")]


@router.post(
    "/v1/documents",
    openapi_extra=_BODY,
    response_model=schemas.AddedDocument,
    responses={201: {"model": schemas.AddedDocument}, 402: {"model": Problem}},
)
async def add_document(
    request: Request, response: Response, parts: Shelves, name: OfName = "", user_id: ForUser = ""
) -> schemas.AddedDocument:
    """Takes a text as JSON (`{text, name, content_type, metadata}`), a text, PDF or DOCX file as the body itself (its
    name in `?name=`) or as a form with `file`. 201 for a new one, 200 for content that is here already."""
    new, owner = await _read(request, name, user_id)
    async with parts.runner.admitted(parts.order(owner)) as run:
        added = await parts.library.add(run, new)
    response.status_code = 201 if added.new else 200
    return schemas.AddedDocument.model_validate({**_shown(added.document), "new": added.new})


@router.get("/v1/documents")
async def list_documents(
    parts: Shelves, limit: Annotated[int, limit(1000)] = 50, cursor: Cursor = ""
) -> Page[schemas.Document]:
    """The tenant's documents, the newest first; `next_cursor` leads to the next page."""
    found = await parts.library.documents(parts.tenant, _after(cursor), limit + 1)
    more = _cursor(found[limit - 1]) if len(found) > limit else None
    return Page(items=[schemas.Document.model_validate(_shown(one)) for one in found[:limit]], next_cursor=more)


@router.get("/v1/documents/{document_id}")
async def get_document(document_id: DocumentId, parts: Shelves) -> schemas.DocumentWithPassages:
    """One document with its passages."""
    found, passages = await parts.library.document(parts.tenant, document_id)
    return schemas.DocumentWithPassages.model_validate({**_shown(found), "passages": passages})


@router.delete("/v1/documents/{document_id}", **NO_CONTENT)
async def delete_document(document_id: DocumentId, parts: Shelves) -> None:
    """Removes a document: nothing finds it any more, and its text is overwritten."""
    await parts.library.remove(parts.tenant, document_id)


@router.post("/v1/retrieval/search", responses={402: {"model": Problem}})
async def search_documents(body: Search, parts: Shelves) -> Items[schemas.SearchHit]:
    """The passages that are nearest to the query in meaning, best first."""
    async with parts.runner.admitted(parts.order(body.user_id)) as run:
        hits = await parts.library.search(run, body.query, body.top_k, body.document_ids, body.min_score)
    return Items(items=[schemas.SearchHit.model_validate(asdict(hit)) for hit in hits])


@router.get("/v1/retrieval/usage")
def get_retrieval_usage(reads: Reads, window: Window) -> stats.Retrieval:
    """Searches in `[from, to)`, what they found, and what the tenant's embeddings used."""
    return stats.retrieval(reads.store, reads.tenant, window)


async def _read(request: Request, name: str, user_id: str) -> tuple[NewDocument, str | None]:
    """The document of a request, and its user. Raises BadRequest, TooLarge."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _of_json(await request.body())
    _refuse_foreign_page(request)
    if kind == "multipart/form-data":
        return await _of_form(request)
    return await document_of(await request.body(), name, kind), user_id or None


def _of_json(raw: bytes) -> tuple[NewDocument, str | None]:
    try:
        body = DocumentBody.model_validate_json(raw)
    except ValidationError as exc:
        raise RequestValidationError([{**error, "loc": ("body", *error["loc"])} for error in exc.errors()]) from exc
    return new_document(body.text, body.name, body.content_type, body.metadata), body.user_id


async def _of_form(request: Request) -> tuple[NewDocument, str | None]:
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadRequest("the form needs a file in its field 'file'")
        kind = file.content_type or ""
        name = str(form.get("name") or file.filename or "")
        if kind in ("", "application/octet-stream"):  # what clients say of what they do not know
            kind = kind_of_name(file.filename or name)
        user_id = form.get("user_id")
        return await document_of(await file.read(), name, kind), _user(user_id if isinstance(user_id, str) else None)


def _user(user_id: str | None) -> str | None:
    return checked_id(user_id, "user_id") if user_id else None


def _refuse_foreign_page(request: Request) -> None:
    """Any web page may send forms and plain text to this machine without a CORS preflight."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refused("documents are not taken from the pages of other sites")


_Cursor = TypeAdapter(tuple[int, str])


def _cursor(last: Document) -> str:
    return base64.urlsafe_b64encode(json.dumps([last.created_us, last.document_id]).encode()).decode()


def _after(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    try:
        return _Cursor.validate_json(base64.urlsafe_b64decode(cursor))
    except ValueError as exc:
        raise BadRequest("cursor is not one that this API gave") from exc


def _shown(document: Document) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(document).items() if name not in ("revision", "created_us")}
    return {**shown, "user_id": document.user_id or None, "created_at": format_time(document.created_us * 1000)}
