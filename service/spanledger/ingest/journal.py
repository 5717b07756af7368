"""Records on disk which batch is being loaded, so that a later process knows which one may be incomplete."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spanledger.ingest import spool


@dataclass(frozen=True)
class InFlight:
    """A batch between the start of its load and the removal of its segments."""

    batch: str
    segments: list[Path]


class Journal:
    """One for each thread that loads a signal; written before each load, removed after it."""

    def __init__(self, data_dir: Path, signal: str, durable: bool, number: int = 0) -> None:
        self._folder = spool.folder(data_dir, signal)
        self._path = self._folder / (f"inflight-{number}.json" if number else "inflight.json")
        self._durable = durable

    def begin(self, batch: str, segments: Sequence[Path]) -> None:
        text = json.dumps({"batch": batch, "segments": [path.name for path in segments]})
        temporary = self._path.with_suffix(".new")
        with temporary.open("w") as file:
            file.write(text)
            if self._durable:
                file.flush()
                os.fdatasync(file.fileno())
        temporary.replace(self._path)
        if self._durable:
            spool.sync_folder(self._folder)

    def end(self, segments: Sequence[Path]) -> None:
        """The batch is in ClickHouse: its segments go, then its entry."""
        for path in segments:
            path.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)

    def pending(self) -> InFlight | None:
        """What an earlier process was loading when it ended, as far as its segments still exist."""
        try:
            entry = json.loads(self._path.read_text())
            batch, segments = str(entry["batch"]), [self._folder / name for name in entry["segments"]]
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError):  # cut off before it was synced, so before its load began
            self._path.unlink()
            return None
        return InFlight(batch, [path for path in segments if path.exists()])
