"""What commands write: JSON, notes on standard error, tables in colour on a terminal and aligned text elsewhere."""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spanledger.foreign.texts import printable

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"ok": "green", "applied": "green", "good": "green", "FAILED": "bold red", "MISSING": "bold red"}
_above: Callable[[str], None] | None = None
DEEPEST = 60  # of a tree: a line of its guides grows with the depth
_ANY_WIDTH = 10_000
_LONGEST_MESSAGE = 200
_level = 0  # -1: errors alone, 0: notes and progress, 1 and more: details


def set_level(level: int) -> None:
    """How much standard error shows: -1 errors alone, 0 notes and progress, 1 details."""
    global _level
    _level = level


def is_quiet() -> bool:
    return _level < 0


def log_level() -> int:
    """Of the log on standard error: errors with --quiet, warnings, and more with -v and -vv."""
    return {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(_level, logging.DEBUG)


def say(text: str) -> None:
    """A note on standard error, unless --quiet."""
    if _level >= 0:
        complain(text)


def detail(text: str) -> None:
    """A note that only --verbose shows."""
    if _level >= 1:
        complain(text)


def complain(text: str) -> None:
    """An error on standard error, also with --quiet."""
    if _above is not None:
        _above(text)
    else:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def notes_above(write: Callable[[str], None]) -> Iterator[None]:
    """Meanwhile notes are written by `write`, above the progress bar."""
    global _above
    _above = write
    try:
        yield
    finally:
        _above = None


def size(count: int) -> str:
    """1.5 GiB, 20.0 MiB or 512 B."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def print_json(value: Any) -> None:
    print(json.dumps(value, default=str))


def on_terminal() -> bool:
    return sys.stdout.isatty()


def console(width: int | None = None) -> "Console":
    """Standard output for Rich, which honours NO_COLOR and the width of the terminal."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, width=width)


def plain(value: object) -> str:
    """Foreign text as one cell: no control codes, colours neither, no line breaks."""
    return printable(str(value).replace("\x1b", "\\x1b").replace("\n", " ").replace("\t", " "))


@dataclass(frozen=True)
class Column:
    """`width`: at least, in plain text."""

    title: str = ""
    right: bool = False
    width: int = 0


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """A table with a header unless all titles are empty."""
    cells = [[plain(value) for value in row] for row in rows]
    if on_terminal():
        _print_rich(columns, cells)
        return
    if any(column.title for column in columns):
        cells.insert(0, [column.title for column in columns])
    widths = [max([column.width, *(len(row[n]) for row in cells)]) for n, column in enumerate(columns)]
    for row in cells:
        aligned = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, column, width in zip(row, columns, widths, strict=True)
        ]
        print("  ".join(aligned).rstrip())


@dataclass
class Branch:
    """A line of a tree and what hangs below it."""

    text: str
    style: str = ""
    below: "list[Branch]" = field(default_factory=list)


def print_tree(root: Branch) -> None:
    """The root, then every branch with its guides; what lies deeper than DEEPEST hangs at that depth."""
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(plain(root.text), style=root.style), guide_style="dim" if on_terminal() else "")
    waiting = [(branch, tree, 1) for branch in reversed(root.below)]
    while waiting:
        branch, parent, depth = waiting.pop()
        node = parent.add(Text(plain(branch.text), style=branch.style))
        deeper = node if depth < DEEPEST else parent
        waiting += [(one, deeper, depth + 1) for one in reversed(branch.below)]
    if on_terminal():
        console().print(tree)
    else:
        console(_ANY_WIDTH).print(tree, soft_wrap=True, crop=False)


def spent(amount: str, state: str) -> str:
    """An amount and how it is known; of what has no price, an amount is not known."""
    return state if state in ("unpriced", "failed") else f"${amount} {state}"


def first_line(text: str) -> str:
    """One line of a message: of a stack trace the last one, which names the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    chosen = lines[-1] if lines[0].startswith("Traceback ") else lines[0]
    return chosen if len(chosen) <= _LONGEST_MESSAGE else chosen[: _LONGEST_MESSAGE - 1] + "…"


def _print_rich(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    titled = any(column.title for column in columns)
    table = Table(box=SIMPLE_HEAD if titled else None, show_header=titled, pad_edge=False)
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console().print(table)
