"""Which conversations may have to be sealed: those about which something was posted, until they have been looked at.

Only new postings of the ledger are read at each look, stretch by stretch, and none while so many conversations are
open that more would fill the memory: what has not been read waits in the ledger. What must be known after a restart is
one moment: nothing posted before it is still open. It stands in a small file; without it the whole ledger is read once.
"""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanledger.store import queries
from spanledger.store.client import Store

FILE = "sealing.json"
OVERLAP_US = 60_000_000  # an entry is dated before it can be read
MOST_OPEN = (
    50_000  # about 17 MiB; with more to do than that sealing is behind, and more room would fill up just the same
)
STRETCH_ROWS = 50_000  # of the ledger, read at a time
_NEVER_US = 2**62

Key = tuple[str, str]  # tenant, conversation


@dataclass(frozen=True, slots=True)
class Activity:
    """`last_us`: when something last happened in it; `posted_us`: when the books last heard of it."""

    last_us: int
    posted_us: int


class Touched:
    """The open conversations. Not thread-safe: one look at a time."""

    def __init__(
        self, store: Store, folder: Path, most_open: int = MOST_OPEN, stretch_rows: int = STRETCH_ROWS
    ) -> None:
        self._store = store
        self._file = folder / FILE
        self._most_open = most_open
        self._stretch_rows = stretch_rows
        self._read_until_us = self._since()
        self._open: dict[Key, Activity] = {}
        self._looked_at: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def look(self, on: bool = False) -> bool:
        """Reads a stretch of what was posted since the last look, if there is room for it; whether there is more, and
        room for that. `on`: the stretch follows on the one before, in the same look. Raises StoreError."""
        if len(self._open) >= self._most_open:
            return False
        since_us = self._read_until_us if on else max(self._read_until_us - OVERLAP_US, 0)
        stretch = {"since_us": self._read_until_us, "rows": self._stretch_rows}
        end_us = self._store.scalar(queries.sql("ledger_stretch"), stretch) or _NEVER_US
        self._read_until_us = max(self._read_until_us, self._note(since_us, end_us))
        self._forget_old_looks()
        return end_us != _NEVER_US and len(self._open) < self._most_open

    def due(self, seconds: float, quiet_s: float, limit: int) -> list[tuple[Key, Activity]]:
        """Conversations in which nothing has happened for so long, and of which the books heard nothing for `quiet_s`:
        an import that is under way is left to finish. The longest idle first. Raises StoreError."""
        idle = self._idle(self._open, seconds, quiet_s)[:limit]
        if idle:  # they may have gone on in what has not been read
            self._note(self._read_until_us, _NEVER_US, [conversation_id for (_, conversation_id), _ in idle])
        return self._idle([key for key, _ in idle], seconds, quiet_s)

    def done(self, key: Key, seen: Activity) -> None:
        """It was looked at as it was then; what was posted since keeps it open."""
        if self._open.get(key) == seen:
            del self._open[key]
        self._looked_at[key] = max(seen.posted_us, self._looked_at.get(key, 0))

    def remember(self) -> None:
        """Writes down from where a restart must read. Raises OSError."""
        since_us = min((seen.posted_us for seen in self._open.values()), default=self._read_until_us)
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps({"since_us": min(since_us, self._read_until_us)}))
        draft.replace(self._file)

    def _note(self, since_us: int, end_us: int, among: Sequence[str] = ()) -> int:
        """Conversations about which something was posted after the one moment and not after the other, all or those of
        certain ids. Returns when the last of it was posted, 0 for nothing."""
        newest_us = 0
        parameters = {"since_us": since_us, "end_us": end_us, "among": list(among)}
        for tenant, conversation_id, last_ns, posted_us in self._store.query(
            queries.sql("conversations_touched"), parameters
        ):
            key = (tenant, conversation_id)
            newest_us = max(newest_us, posted_us)
            if self._looked_at.get(key, -1) >= posted_us:
                continue  # read again because of the overlap
            before = self._open.get(key, Activity(0, 0))
            # A clock that runs ahead must not keep a conversation open for years.
            last_us = min(last_ns // 1000, posted_us)
            self._open[key] = Activity(max(before.last_us, last_us), max(before.posted_us, posted_us))
        return newest_us

    def _idle(self, among: Collection[Key], seconds: float, quiet_s: float) -> list[tuple[Key, Activity]]:
        now_us = time.time_ns() // 1000
        found = [
            (key, self._open[key])
            for key in among
            if self._open[key].last_us <= now_us - seconds * 1e6 and self._open[key].posted_us <= now_us - quiet_s * 1e6
        ]
        return sorted(found, key=lambda item: item[1].last_us)

    def _since(self) -> int:
        try:
            return int(json.loads(self._file.read_text())["since_us"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _forget_old_looks(self) -> None:
        edge = self._read_until_us - 2 * OVERLAP_US
        self._looked_at = {key: posted for key, posted in self._looked_at.items() if posted >= edge}
