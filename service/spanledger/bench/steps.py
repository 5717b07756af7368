"""Passes the progress of a benchmark to listeners. The command line registers its progress bar as one."""

import sys
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

T = TypeVar("T")
_listeners: list[Callable[[str], None]] = []


def listen(tell: Callable[[str], None]) -> None:
    """Calls `tell` with every step, as `WHAT: 3 of 20 UNIT`, until the process ends."""
    _listeners.append(tell)


def counted(what: str, items: Collection[T], unit: str) -> Iterator[T]:
    """Yields the items one by one and reports each to the listeners before it is yielded."""
    for number, item in enumerate(items):
        tell(what, number, len(items), unit)
        yield item
    tell(what, len(items), len(items), unit)


def note(text: str) -> None:
    """Passes a text to the listeners; prints it on standard error if there are none."""
    if not _listeners:
        print(text, file=sys.stderr, flush=True)
    for listener in _listeners:
        listener(text)


def tell(what: str, done: int, total: int, unit: str) -> None:
    for listener in _listeners:
        listener(f"{what}: {done} of {total} {unit}")
