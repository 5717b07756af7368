"""Which conversations are looked at for sealing, and that no number of them fills the memory."""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger_rows import SECOND, Post
from spanledger.analysis.touched import Touched
from spanledger.store.client import Store

DAY_S = 86_400
_days = itertools.count(1_000)  # a day of its own for each test, after which nothing has been posted yet
Posted = Callable[[str, float], None]


@pytest.fixture
def began() -> int:
    """Seconds since 1970."""
    return int(time.time()) + next(_days) * DAY_S


@pytest.fixture
def posted(post: Post, began: int) -> Posted:
    """Posts about a conversation, so many seconds after the beginning."""
    return lambda conversation, second: post(
        conversation_id=conversation,
        posted_at=int((began + second) * 1_000_000),
        started_at=int((began + second) * SECOND),
    )


def names(looks: Touched, idle_since: float) -> list[str]:
    """Conversations that are due if all that ended until then is."""
    seconds = time.time() - idle_since
    return [conversation for (_, conversation), _ in looks.due(seconds, seconds, 1_000)]


def touched(store: Store, folder: Path, began: int, most_open: int, stretch_rows: int) -> Touched:
    (folder / "sealing.json").write_text(json.dumps({"since_us": (began - 100) * 1_000_000}))
    return Touched(store, folder, most_open, stretch_rows)


def read(looks: Touched) -> None:
    """Reads on while there is more and room for it."""
    more = looks.look()
    while more:
        more = looks.look(on=True)


@pytest.mark.parametrize("stretch_rows", [1, 4, 1_000])
def test_no_more_are_open_than_there_is_room_for_and_none_is_forgotten(
    store: Store, posted: Posted, began: int, tmp_path: Path, stretch_rows: int
) -> None:
    for number in range(10):
        posted(f"c-{number}", 200 * number)
    looks = touched(store, tmp_path, began, 5, stretch_rows)
    seen: list[str] = []
    while len(seen) < 10:
        read(looks)
        assert 0 < len(looks) < 5 + stretch_rows + 1
        due = looks.due(time.time() - began - DAY_S / 2, time.time() - began - DAY_S / 2, 1_000)
        for key, what in due:
            looks.done(key, what)
        seen += [conversation for (_, conversation), _ in due]
    assert seen == [f"c-{number}" for number in range(10)]


def test_what_has_not_been_read_yet_keeps_a_conversation_open(
    store: Store, posted: Posted, began: int, tmp_path: Path
) -> None:
    posted("first", 1_000)
    for number in range(10):
        posted("second", 1_100 + number)
    posted("first", 3_000)
    looks = touched(store, tmp_path, began, 1, 2)
    read(looks)
    assert len(looks) < 3, "it was not to read all of it"
    assert "first" not in names(looks, began + 2_000)
    assert "first" in names(looks, began + 4_000)
