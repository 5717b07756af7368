"""How far a benchmark is, for whoever shows it."""

import sys
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

T = TypeVar("T")
_listeners: list[Callable[[str], None]] = []


def listen(tell: Callable[[str], None]) -> None:
    """`tell` hears of every step until the process ends, as `WHAT: 3 of 20 UNIT`."""
    _listeners.append(tell)


def counted(what: str, items: Collection[T], unit: str) -> Iterator[T]:
    """The items one by one, each told when its turn comes."""
    for number, item in enumerate(items):
        tell(what, number, len(items), unit)
        yield item
    tell(what, len(items), len(items), unit)


def note(text: str) -> None:
    """What goes on: to the listeners, or to standard error where there are none."""
    if not _listeners:
        print(text, file=sys.stderr, flush=True)
    for listener in _listeners:
        listener(text)


def tell(what: str, done: int, total: int, unit: str) -> None:
    for listener in _listeners:
        listener(f"{what}: {done} of {total} {unit}")
