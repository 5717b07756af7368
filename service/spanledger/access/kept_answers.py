"""Answers that a client may ask for again with the same `Idempotency-Key`, for a day, also after a restart.

An answer is encrypted with a key made of the client's own key and request: without both nobody can read it, so no word
of it stands on the disk in the clear. Each tenant keeps so many answers and bytes; the oldest go first.
"""

import asyncio
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from spanledger.errors import BadRequest

FILE = "answers.db"
KEPT_S = 24 * 3600.0
MOST_ANSWERS = 1_000  # of one tenant
MOST_BYTES = 16 * 1024 * 1024
_NONCE = 12
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    tenant TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    at REAL NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (tenant, key_hash)
) STRICT
"""


class ReusedKey(BadRequest):
    title = "Idempotency key reused"
    error_type = "idempotency_key_reused"


class Kept(NamedTuple):
    body: bytes
    is_replay: bool


class KeptAnswers:
    """Belongs to one event loop; its file to one process at a time."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._guard = threading.Lock()
        self._db = sqlite3.connect(folder / FILE, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(_SCHEMA)
        self._running: dict[tuple[str, str], tuple[str, asyncio.Task[Kept]]] = {}

    def close(self) -> None:
        with self._guard:
            self._db.close()

    async def once(self, tenant: str, key: str, request: bytes, work: Callable[[], Awaitable[bytes]]) -> Kept:
        """The answer of the first such request: kept, or under way, or made now by `work`. Raises what `work` raises,
        which is not kept, and ReusedKey when the key came with another request."""
        name, request_hash = (tenant, _hash(key.encode())), _hash(request)
        if (running := self._running.get(name)) is not None:
            _refuse_other(running[0], request_hash)
            return Kept((await asyncio.shield(running[1])).body, True)
        # The work continues when its client disconnects, because such a client retries.
        task = asyncio.create_task(self._answer(name, key, request, work))
        self._running[name] = (request_hash, task)
        task.add_done_callback(lambda _: self._running.pop(name, None))
        return await asyncio.shield(task)

    async def _answer(
        self, name: tuple[str, str], key: str, request: bytes, work: Callable[[], Awaitable[bytes]]
    ) -> Kept:
        kept = await asyncio.to_thread(self._find, name, key, request)
        if kept is not None:
            return Kept(kept, True)
        body = await work()
        await asyncio.to_thread(self._keep, name, key, request, body)
        return Kept(body, False)

    def _find(self, name: tuple[str, str], key: str, request: bytes) -> bytes | None:
        with self._guard:
            row = self._db.execute(
                "SELECT request_hash, answer FROM answers WHERE tenant = ? AND key_hash = ? AND at >= ?",
                (*name, self._clock() - KEPT_S),
            ).fetchone()
        if row is None:
            return None
        request_hash, sealed = row
        _refuse_other(request_hash, _hash(request))
        try:
            return _cipher(key, request).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        except InvalidTag:
            return None  # a damaged file: the request runs again

    def _keep(self, name: tuple[str, str], key: str, request: bytes, body: bytes) -> None:
        nonce = os.urandom(_NONCE)
        sealed = nonce + _cipher(key, request).encrypt(nonce, body, None)
        tenant, now = name[0], self._clock()
        with self._guard:
            self._db.execute("DELETE FROM answers WHERE at < ?", (now - KEPT_S,))
            self._db.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", (*name, _hash(request), now, sealed)
            )
            self._db.execute(_DROP_OLDEST, (tenant, tenant, MOST_ANSWERS, MOST_BYTES))


_DROP_OLDEST = """
DELETE FROM answers WHERE tenant = ? AND key_hash IN
(
    SELECT key_hash FROM
    (
        SELECT key_hash, row_number() OVER newest AS place, sum(length(answer)) OVER newest AS bytes
        FROM answers WHERE tenant = ? WINDOW newest AS (ORDER BY at DESC, key_hash)
    )
    WHERE place > ? OR bytes > ?
)
"""


def _refuse_other(kept: str, request_hash: str) -> None:
    if kept != request_hash:
        raise ReusedKey("this Idempotency-Key came with another request; a new request needs a new key")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _cipher(key: str, request: bytes) -> AESGCM:
    return AESGCM(hashlib.sha256(len(key).to_bytes(8) + key.encode() + request).digest())
