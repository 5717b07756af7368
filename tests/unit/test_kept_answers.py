"""Answers kept for idempotency keys: for a day, bounded, unreadable without key and request, also after a restart."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from spanledger.access import kept_answers
from spanledger.access.kept_answers import KeptAnswers, ReusedKey


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def work(answer: bytes, runs: list[bytes]) -> Callable[[], Awaitable[bytes]]:
    async def run() -> bytes:
        runs.append(answer)
        return answer

    return run


def test_an_answer_outlives_the_process_and_is_not_readable_on_disk(tmp_path: Path) -> None:
    runs: list[bytes] = []

    async def once() -> tuple[bytes, bool]:
        answers = KeptAnswers(tmp_path)
        try:
            return await answers.once("acme", "key-1", b"request", work(b"a secret answer", runs))
        finally:
            answers.close()

    assert asyncio.run(once()) == (b"a secret answer", False)
    assert asyncio.run(once()) == (b"a secret answer", True)
    assert runs == [b"a secret answer"]
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(word in held for word in (b"secret", b"key-1", b"request\x00"))


def test_an_answer_is_kept_for_a_day(tmp_path: Path) -> None:
    clock, runs = Clock(), list[bytes]()
    answers = KeptAnswers(tmp_path, clock)

    async def once(request: bytes = b"request") -> bool:
        return (await answers.once("acme", "key-1", request, work(b"answer", runs))).is_replay

    async def story() -> None:
        assert not await once()
        clock.now += 24 * 3600
        assert await once()
        with pytest.raises(ReusedKey):
            await once(b"another request")
        clock.now += 1
        assert not await once(b"another request")

    asyncio.run(story())
    answers.close()


def test_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answers, "MOST_ANSWERS", 3)
    monkeypatch.setattr(kept_answers, "MOST_BYTES", 300)
    clock, runs = Clock(), list[bytes]()
    answers = KeptAnswers(tmp_path, clock)

    async def once(tenant: str, key: str, size: int = 10) -> bool:
        clock.now += 1
        return (await answers.once(tenant, key, b"request", work(b"x" * size, runs))).is_replay

    async def story() -> None:
        await once("other", "0")
        for key in "1234":
            await once("acme", key)
        assert [await once("acme", key) for key in "234"] == [True, True, True]
        assert await once("other", "0")
        await once("acme", "big", 250)
        assert not await once("acme", "2")

    asyncio.run(story())
    answers.close()
