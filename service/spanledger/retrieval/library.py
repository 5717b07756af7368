"""What can be done with documents, each operation a span, what it changed in the audit trail."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.trace import SpanKind

from spanledger.errors import NotFound
from spanledger.retrieval.chunks import split
from spanledger.retrieval.shelf import Document, Origin, Shelf
from spanledger.retrieval.text import NewDocument
from spanledger.store.client import Store
from spanledger.store.quota import Quota
from spanledger.telemetry import Telemetry, audit, semconv
from spanledger.telemetry.operations import Operations
from spanledger.workflows.embedding import Embedder
from spanledger.workflows.run import Hit, Run

SOURCE: Final = "documents"  # gen_ai.data_source.id
_KIND: Final = "document"
MAX_TOP_K: Final = 100
MIN_SCORE: Final = 0.0  # a passage that is less alike than this has nothing to do with the query


@dataclass(frozen=True, slots=True)
class Added:
    """`new` is False when the tenant had the same content already."""

    document: Document
    new: bool


class Library:
    """The documents of all tenants; a `Retriever`. What a run may see is its principal's tenant's."""

    def __init__(
        self, store: Store, telemetry: Telemetry, embedder: Embedder, embedding_model: str, quota: Quota | None = None
    ) -> None:
        self._quota = quota or Quota()
        self._shelf = Shelf(store)
        self._telemetry = telemetry
        self._operations = Operations(telemetry)
        self._embedder = embedder
        self._model = embedding_model

    async def add(self, run: Run, new: NewDocument) -> Added:
        """Idempotent by content. Raises StoreError, ModelError, QuotaExceeded."""
        tenant = run.order.principal.tenant
        document_id = _id(tenant, new)
        described = {"id": document_id, "bytes": len(new.text.encode()), "content_type": new.content_type}
        with self._operations.span("add_document", _attributes("add", described)) as span:
            known = await asyncio.to_thread(self._shelf.document, tenant, document_id)
            if known is not None and known.embedding_model == self._model:
                added = Added(known, new=False)
            else:
                if known is None and self._quota.objects_of(_KIND):
                    self._quota.check_objects(_KIND, await asyncio.to_thread(self._shelf.count, tenant))
                chunks = await asyncio.to_thread(split, new.text)
                embedded = await self._embedder.embed(run, [chunk.text for chunk in chunks], self._model)
                origin = Origin(tenant, run.order.user_id, run.order.principal.key_id)
                document = await asyncio.to_thread(
                    self._shelf.put, origin, document_id, new, chunks, embedded.vectors, self._model
                )
                added = Added(document, new=True)
            facts = {"chunks": added.document.chunks, "tokens": added.document.tokens, "new": added.new}
            span.set_attributes(_attributes("add", facts))
        if added.new:  # reads and removals are recorded with their requests
            audit.record(self._telemetry, audit.AUDIT, "document.add", "allowed", target=f"document/{document_id}")
        return added

    async def document(self, tenant: str, document_id: str) -> tuple[Document, list[dict[str, Any]]]:
        """A document and its passages. Raises NotFound."""
        with self._operations.span("read_document", _attributes("read", {"id": document_id})):
            found = await self._known(tenant, document_id)
            passages = await asyncio.to_thread(self._shelf.text, found, tenant)
        return found, [dict(passage) for passage in passages]

    async def documents(self, tenant: str, after: tuple[int, str] | None, limit: int) -> list[Document]:
        """Newest first, those after (created_us, document_id)."""
        with self._operations.span("list_documents", _attributes("list", {})) as span:
            found = await asyncio.to_thread(self._shelf.page, tenant, after, limit)
            span.set_attributes(_attributes("list", {"count": len(found)}))
        return found

    async def remove(self, tenant: str, document_id: str) -> None:
        """Raises NotFound."""
        with self._operations.span("delete_document", _attributes("delete", {"id": document_id})):
            found = await self._known(tenant, document_id)
            await asyncio.to_thread(self._shelf.remove, tenant, found)

    async def search(
        self, run: Run, query: str, top_k: int, document_ids: Sequence[str] = (), min_score: float = MIN_SCORE
    ) -> list[Hit]:
        attributes: dict[str, Any] = {
            semconv.OPERATION_NAME: semconv.RETRIEVAL,
            semconv.DATA_SOURCE_ID: SOURCE,
            semconv.RETRIEVAL_TOP_K: top_k,
        }
        if self._operations.content:
            attributes[semconv.RETRIEVAL_QUERY_TEXT] = query
        with self._operations.span(f"{semconv.RETRIEVAL} {SOURCE}", attributes, SpanKind.CLIENT) as span:
            embedded = await self._embedder.embed(run, [query], self._model)
            tenant = run.order.principal.tenant
            hits = await asyncio.to_thread(
                self._shelf.search, tenant, self._model, embedded.vectors[0], top_k, document_ids, min_score
            )
            found = [{"id": hit.document_id, "chunk": hit.chunk, "score": hit.score} for hit in hits]
            span.set_attribute(semconv.RETRIEVAL_DOCUMENTS, json.dumps(found))
            span.set_attributes(_attributes("search", {"hits": len(hits)}))
        return hits

    async def _known(self, tenant: str, document_id: str) -> Document:
        found = await asyncio.to_thread(self._shelf.document, tenant, document_id)
        if found is None:
            raise NotFound(f"there is no document {document_id[:100]!r}")
        return found


def _id(tenant: str, new: NewDocument) -> str:
    """The same for the same content of the same tenant, and no other tenant can guess what it has."""
    return f"doc_{hashlib.sha256(f'{len(tenant)}:{tenant}{new.sha256}'.encode()).hexdigest()[:32]}"


def _attributes(operation: str, facts: dict[str, Any]) -> dict[str, Any]:
    named = {f"{semconv.DOCUMENT}.{name}": value for name, value in facts.items()}
    return {f"{semconv.DOCUMENT}.operation": operation, **named}
