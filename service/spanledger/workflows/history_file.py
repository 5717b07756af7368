"""Tells whether a conversation has a stored history, without importing the library that reads it."""

import sqlite3
from contextlib import closing
from pathlib import Path

FILE = "conversations.db"


def holds(folder: Path, thread_id: str) -> bool:
    """Whether the history in `folder` has the thread."""
    path = folder / FILE
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return (
                db.execute("SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1", (thread_id,)).fetchone() is not None
            )
    except sqlite3.Error:
        return False
