"""Turns: how many at once, how many of one tenant, in rotation, and none is lost."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from spanledger.lanes import Busy, Lane, Width


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


async def settle() -> None:
    """Everything that can go on has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


class Callers:
    """Whoever enters notes it."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.entered: list[str] = []

    def enter(self, tenant: str) -> "asyncio.Task[None]":
        async def one() -> None:
            await self.lane.enter(tenant)
            self.entered.append(tenant)

        return asyncio.ensure_future(one())


def test_one_tenant_has_its_share_and_the_next_one_does_not_wait() -> None:
    async def test() -> None:
        callers = Callers(Lane("test", Width(total=4, share=2, waiting=10)))
        for tenant in ("red",) * 6 + ("blue",):
            callers.enter(tenant)
        await settle()
        assert callers.entered == ["red", "red", "blue"]
        callers.lane.leave("red")
        await settle()
        assert callers.entered == ["red", "red", "blue", "red"]

    run(test())


def test_free_places_go_to_tenants_in_rotation() -> None:
    async def test() -> None:
        callers = Callers(Lane("test", Width(total=1, share=1, waiting=10)))
        for tenant in ("red", "red", "red", "blue", "green", "blue"):
            callers.enter(tenant)
        await settle()
        for _ in range(5):
            callers.lane.leave(callers.entered[-1])
            await settle()
        assert callers.entered == ["red", "red", "blue", "green", "red", "blue"]
        callers.lane.leave("blue")
        assert callers.lane.running == 0

    run(test())


def test_who_has_too_many_waiting_is_told_so_and_others_are_not() -> None:
    async def test() -> None:
        callers = Callers(Lane("test", Width(total=1, share=1, waiting=2)))
        for _ in range(3):
            callers.enter("red")
        await settle()
        with pytest.raises(Busy) as told:
            await callers.lane.enter("red")
        assert (told.value.status, told.value.headers["Retry-After"]) == (429, "1")
        callers.enter("blue")
        await settle()
        callers.lane.leave("red")
        await settle()
        callers.lane.leave("red")
        await settle()
        assert callers.entered == ["red", "red", "blue"]

    run(test())


@pytest.mark.parametrize("granted", [False, True])
def test_a_place_of_one_who_leaves_while_waiting_is_not_lost(granted: bool) -> None:
    async def test() -> None:
        callers = Callers(Lane("test", Width(total=1, share=1, waiting=10)))
        callers.enter("red")
        await settle()
        leaver, stayer = callers.enter("red"), callers.enter("red")
        await settle()
        if granted:
            callers.lane.leave("red")  # the place is the leaver's, who has not been told yet
        leaver.cancel()
        await settle()
        if not granted:
            callers.lane.leave("red")
        await settle()
        assert stayer.done()
        assert callers.entered == ["red", "red"]
        callers.lane.leave("red")
        assert callers.lane.running == 0

    run(test())
