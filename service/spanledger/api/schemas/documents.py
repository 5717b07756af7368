"""Documents, searches, embeddings."""

from typing import Annotated, Literal

from pydantic import Field

from spanledger.api.schemas.common import Answer
from spanledger.stats.fields import OrNull, Time


class Document(Answer):
    document_id: str
    name: str
    content_type: str
    sha256: str
    bytes: int
    tokens: int
    chunks: int
    embedding_model: str
    metadata: dict[str, str]
    user_id: str | None
    key_id: OrNull
    created_at: Time


class AddedDocument(Document):
    new: Annotated[bool, Field(description="False: the tenant has this content already.")]


class Passage(Answer):
    chunk: int
    text: str
    tokens: int


class DocumentWithPassages(Document):
    passages: list[Passage]


class SearchHit(Answer):
    """`score` is the cosine similarity, at most 1."""

    document_id: str
    chunk: int
    name: str
    text: str
    score: float


class Vector(Answer):
    """`embedding` as numbers, or as base64 of little-endian floats."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingTokens(Answer):
    prompt_tokens: int
    total_tokens: int


class Embeddings(Answer):
    object: Literal["list"]
    data: list[Vector]
    model: str
    usage: EmbeddingTokens
