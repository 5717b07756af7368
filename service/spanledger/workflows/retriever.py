"""Where the `rag` workflow looks for what the model should know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from spanledger.workflows.calls import Run


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that fits; `score` is the cosine similarity, at most 1."""

    document_id: str
    chunk: int
    name: str
    text: str
    score: float


class Retriever(Protocol):
    async def search(self, run: "Run", query: str, top_k: int, document_ids: Sequence[str] = ()) -> list[Hit]:
        """The passages of the run's tenant that are nearest to `query`, best first; their call is in `run.records`.

        Raises StoreError, ModelError.
        """
        ...
