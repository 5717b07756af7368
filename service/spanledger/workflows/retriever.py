"""Where the `rag` workflow looks for what the model should know."""

from collections.abc import Sequence
from typing import Protocol

from spanledger.workflows.run import Hit, Run


class Retriever(Protocol):
    async def search(self, run: Run, query: str, top_k: int, document_ids: Sequence[str] = ()) -> list[Hit]:
        """The passages of the run's tenant that are nearest to `query`, best first; their call is in `run.records`.

        Raises StoreError, ModelError.
        """
        ...
