"""Documents and their passages in ClickHouse. Everything is bound to a tenant; nothing here is measured."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spanledger.retrieval.chunks import Chunk
from spanledger.retrieval.text import NewDocument
from spanledger.store import queries
from spanledger.store.client import Store
from spanledger.workflows.run import Hit

MAX_CHUNKS = 100_000
_BLOCK = 1_000  # passages of one insert
_FIRST_PAGE = (2**62, "")
_DOCUMENT = (
    *("tenant", "document_id", "revision", "name", "content_type", "sha256", "bytes", "tokens", "chunks"),
    *("embedding_model", "metadata", "user_id", "key_id", "created_at", "deleted"),
)
_CHUNK = (*("tenant", "document_id", "chunk", "revision", "text", "tokens", "embedding_model", "vector", "deleted"),)


@dataclass(frozen=True)
class Document:
    """What is known of a document beside its text."""

    document_id: str
    revision: int
    name: str
    content_type: str
    sha256: str
    bytes: int
    tokens: int
    chunks: int
    embedding_model: str
    metadata: dict[str, str]
    user_id: str
    key_id: str
    created_us: int


@dataclass(frozen=True, slots=True)
class Origin:
    """The tenant of a document and the user who uploaded it."""

    tenant: str
    user_id: str
    key_id: str


class Shelf:
    """Every method blocks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def document(self, tenant: str, document_id: str) -> Document | None:
        found = self._documents(tenant, document_id, _FIRST_PAGE, 1)
        return found[0] if found else None

    def page(self, tenant: str, after: tuple[int, str] | None, limit: int) -> list[Document]:
        """Newest first; `after`: (created_us, document_id) of the last one seen."""
        return self._documents(tenant, "", after or _FIRST_PAGE, limit)

    def count(self, tenant: str) -> int:
        return int(self._store.scalar(queries.sql("document_count"), {"tenant": tenant}) or 0)

    def text(self, document: Document, tenant: str) -> list[Mapping[str, Any]]:
        """Its passages: chunk, text, tokens."""
        params = {
            "tenant": tenant,
            "document_id": document.document_id,
            "revision": document.revision,
            "limit": MAX_CHUNKS,
        }
        return list(self._store.dicts(queries.sql("document_text"), params))

    def put(
        self,
        origin: Origin,
        document_id: str,
        new: NewDocument,
        chunks: Sequence[Chunk],
        vectors: Sequence[Sequence[float]],
        embedding_model: str,
    ) -> Document:
        """Passages first: the document's row makes them visible, all at once."""
        revision = time.time_ns()
        rows = [
            (origin.tenant, document_id, number, revision, chunk.text, chunk.tokens, embedding_model, vector, 0)
            for number, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True))
        ]
        self._put_chunks(rows)
        document = Document(
            document_id=document_id,
            revision=revision,
            name=new.name,
            content_type=new.content_type,
            sha256=new.sha256,
            bytes=len(new.text.encode()),
            tokens=sum(chunk.tokens for chunk in chunks),
            chunks=len(chunks),
            embedding_model=embedding_model,
            metadata=dict(new.metadata),
            user_id=origin.user_id,
            key_id=origin.key_id,
            created_us=revision // 1000,
        )
        self._put_document(origin.tenant, document)
        return document

    def remove(self, tenant: str, document: Document) -> None:
        """Gone from every answer at once: the document's row first, then empty passages in the place of its own."""
        revision = time.time_ns()
        gone = Document(document.document_id, revision, "", "", "", 0, 0, 0, "", {}, "", "", revision // 1000)
        self._put_document(tenant, gone, deleted=1)
        self._put_chunks(
            (tenant, document.document_id, number, revision, "", 0, "", [], 1) for number in range(document.chunks)
        )

    def search(
        self,
        tenant: str,
        embedding_model: str,
        vector: Sequence[float],
        limit: int,
        document_ids: Sequence[str],
        min_score: float,
    ) -> list[Hit]:
        """The nearest passages, best first; none below `min_score`."""
        params = {
            "tenant": tenant,
            "embedding_model": embedding_model,
            "vector": list(vector),
            "document_ids": list(document_ids),
            "limit": limit,
            "min_score": min_score,
        }
        rows = self._store.dicts(queries.sql("document_search"), params)
        ids = sorted({row["document_id"] for row in rows})
        names = self._store.query(queries.sql("document_names"), {"tenant": tenant, "document_ids": ids}) if ids else []
        known: dict[str, str] = dict(names)
        return [
            Hit(
                row["document_id"], row["chunk"], known.get(row["document_id"], ""), row["text"], round(row["score"], 6)
            )
            for row in rows
        ]

    def _documents(self, tenant: str, document_id: str, before: tuple[int, str], limit: int) -> list[Document]:
        params = {
            "tenant": tenant,
            "document_id": document_id,
            "before_us": before[0],
            "before_id": before[1],
            "limit": limit,
        }
        return [Document(**row) for row in self._store.dicts(queries.sql("documents"), params)]

    def _put_document(self, tenant: str, document: Document, deleted: int = 0) -> None:
        created_at = datetime.fromtimestamp(document.created_us / 1e6, UTC)
        known: dict[str, Any] = {**document.__dict__, "tenant": tenant, "created_at": created_at, "deleted": deleted}
        self._store.insert("documents", _DOCUMENT, [[known[column] for column in _DOCUMENT]])

    def _put_chunks(self, rows: Iterable[Sequence[Any]]) -> None:
        block: list[Sequence[Any]] = []
        for row in rows:
            block.append(row)
            if len(block) == _BLOCK:
                self._store.insert("document_chunks", _CHUNK, block)
                block = []
        self._store.insert("document_chunks", _CHUNK, block)
