"""Usage of documents: searches and their results."""

from dataclasses import dataclass

from spanledger.stats.breakdown import breakdown
from spanledger.stats.realtime import Latency
from spanledger.stats.times import ALL_TIME, Window
from spanledger.stats.tools import latency
from spanledger.stats.usage import Usage
from spanledger.store import queries
from spanledger.store.client import Store

MAX_DOCUMENTS = 100


@dataclass(frozen=True)
class FoundDocument:
    """Scores are cosine similarities, at most 1."""

    document_id: str
    searches: int
    passages: int
    best_score: float
    mean_score: float


@dataclass(frozen=True)
class Retrieval:
    """`hits` are passages over all searches; `documents`: the most found first; `embeddings`: all of the tenant's."""

    searches: int
    failed: int
    without_hits: int
    hits: int
    latency_ms: Latency
    documents: list[FoundDocument]
    embeddings: Usage


def retrieval(store: Store, tenant: str, window: Window = ALL_TIME) -> Retrieval:
    bounds = window.bounds()
    params = {"tenant": tenant, "first_ns": bounds["first_ns"], "last_ns": bounds["last_ns"]}
    row = store.dicts(queries.sql("retrieval_searches"), params)[0]
    found = store.dicts(queries.sql("retrieval_documents"), {**params, "limit": MAX_DOCUMENTS})
    return Retrieval(
        searches=row["searches"],
        failed=row["failed"],
        without_hits=row["without_hits"],
        hits=row["hits"],
        latency_ms=latency(row["latency_ns"], row["searches"] > 0),
        documents=[FoundDocument(**row) for row in found],
        embeddings=breakdown(store, tenant, window, only={"operation": ["embeddings"]}).usage,
    )
