"""The shape of a statement: what it reads and how, without any word that its author chose."""

import re
from typing import Final

from spanledger.errors import StoreError
from spanledger.store.client import Store

ANY: Final = "?"
_MAX_CHARACTERS = 100_000
_WORD = re.compile(r"[^\W\d]\w*")
# Of the language and of the schema. Everything else is a name that was made up: of an alias, of a thing that is not.
_KNOWN = (
    "SELECT arrayJoin(splitByChar(' ', keyword)) AS word FROM system.keywords"
    " UNION ALL SELECT name FROM system.functions"
    " UNION ALL SELECT name FROM system.data_type_families"
    " UNION ALL SELECT name FROM system.formats"
    " UNION ALL SELECT name FROM system.settings"
    " UNION ALL SELECT name FROM system.tables WHERE database = currentDatabase()"
    " UNION ALL SELECT DISTINCT name FROM system.columns WHERE database = currentDatabase()"
)


class Shapes:
    """Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._words: frozenset[str] = frozenset()

    def of(self, query: str) -> str:
        """`query` with `?` for every literal and every word that is neither the language's nor the schema's, without
        comments. What the engine cannot read ends it. `?` if the engine says nothing."""
        try:
            words = self._words or self._known()
            normalized = self._store.scalar("SELECT normalizeQuery({query:String})", {"query": query[:_MAX_CHARACTERS]})
        except StoreError:
            return ANY
        return _WORD.sub(lambda word: word[0] if word[0].lower() in words else ANY, str(normalized)).strip() or ANY

    def _known(self) -> frozenset[str]:
        rows = self._store.query(_KNOWN)
        self._words = frozenset(part.lower() for (name,) in rows for part in _WORD.findall(name))
        return self._words
