"""Documents: uploaded, cut into passages, kept as vectors in ClickHouse, found by meaning.

Their text is content, not a fact of the books (docs/decisions/0008-documents-are-content.md): this room writes it. What
is done with it, and what that costs, enters the books as spans like everything else.
"""

from spanledger.retrieval.library import Library
from spanledger.retrieval.text import NewDocument

__all__ = ["Library", "NewDocument"]
