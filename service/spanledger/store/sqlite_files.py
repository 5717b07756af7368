"""Removes deleted rows from the files of SQLite, which keeps their bytes."""

import sqlite3
import time

_TRIES, _PAUSE_S = 50, 0.1


def scrub(db: sqlite3.Connection) -> None:
    """Takes what was deleted out of a database's free pages and write-ahead log; waits a while for its readers."""
    db.execute("VACUUM")
    for _ in range(_TRIES):
        (is_busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not is_busy:
            return
        time.sleep(_PAUSE_S)
