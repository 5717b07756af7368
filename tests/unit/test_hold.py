"""The lock of the books is given in the order of arrival and counts the threads that wait for it."""

import threading
import time
from collections.abc import Callable

from spanledger.ledger.hold import Hold


def started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def until_waiting(hold: Hold, number: int) -> None:
    ends = time.monotonic() + 30
    while hold.waiting != number:
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_whoever_comes_first_has_it_first() -> None:
    hold, order = Hold(), list[str]()

    def work(name: str) -> None:
        with hold:
            order.append(name)

    with hold:
        for number, name in enumerate("abcde", 1):
            started(lambda name=name: work(name))
            until_waiting(hold, number)
    with hold:  # who has just had it comes behind those that wait
        assert order == list("abcde")


def test_its_owner_takes_it_again_and_nobody_else_meanwhile() -> None:
    hold, inside = Hold(), threading.Event()

    def work() -> None:
        with hold:
            inside.set()

    with hold:
        with hold:
            assert not hold.waiting
            other = started(work)
            until_waiting(hold, 1)
        assert not inside.is_set()
    other.join(30)
    assert inside.is_set()
    assert not hold.waiting
