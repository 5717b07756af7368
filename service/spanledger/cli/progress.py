"""Progress on standard error, where it is a terminal: what is done, how fast, and the time left."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from spanledger.cli import output
from spanledger.foreign.texts import Terminal

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import Task, TaskID

# Texts such as "comparing with the ledger: 12,000 of 50,000 traces" move the bar.
_AMOUNTS = re.compile(r"^(.*?):? *([\d,]+) of ([\d,]+) *(\w*)")
BYTES = "B"


class Bar:
    """A bar that shows nothing. `shown`: whether it is visible."""

    shown = False

    def advance(self, amount: float = 1) -> None:
        """So much more is done."""

    def update(self, done: float, total: float | None = None) -> None:
        """So much is done in all."""

    def tell(self, text: str) -> None:
        """What is going on; `… 120 of 500 traces` in it moves the bar."""


class _TerminalBar(Bar):
    shown = True

    def __init__(self, progress: "RichProgress", task: "TaskID") -> None:
        self._progress, self._task = progress, task
        self._step = ""

    def advance(self, amount: float = 1) -> None:
        self._progress.advance(self._task, amount)

    def update(self, done: float, total: float | None = None) -> None:
        self._progress.update(self._task, completed=done, total=total)  # without a total, Rich keeps its own

    def tell(self, text: str) -> None:
        found = _AMOUNTS.match(output.plain(text))
        step = found[1] if found else output.plain(text)
        if step != self._step:
            self._step = step
            self._progress.remove_task(self._task)
            self._task = self._progress.add_task(step, total=None, unit=found[4] if found else "")
        if found:
            done, total = (int(text.replace(",", "")) for text in (found[2], found[3]))
            self._progress.update(self._task, completed=done, total=total)


@contextmanager
def progress(what: str, total: float | None = None, unit: str = "") -> Iterator[Bar]:
    """A bar until the end of the block; without a terminal, or with --quiet, nothing.

    Notes of `output.say` are written above it.
    """
    if output.is_quiet() or not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.text import Text

    class Amounts(ProgressColumn):
        def render(self, task: "Task") -> Text:
            return Text(_amounts(task.completed, task.total, task.finished_speed or task.speed, task.fields["unit"]))

    # The bar moves the cursor, which the filter around standard error would spell out.
    below = sys.stderr.below if isinstance(sys.stderr, Terminal) else sys.stderr
    console = Console(file=cast(Any, below), highlight=False, markup=False, emoji=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(24), Amounts(), TimeRemainingColumn(),
               TimeElapsedColumn())  # fmt: skip
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
    with bar, output.notes_above(lambda text: console.print(Text(output.plain(text)))):
        yield _TerminalBar(bar, bar.add_task(what, total=total, unit=unit))


def _amounts(done: float, total: float | None, speed: float | None, unit: str) -> str:
    """`12,000/50,000 traces, 900/s`; bytes in the unit that fits."""
    if not done and total is None:
        return ""
    one = output.size if unit == BYTES else "{:,.0f}".format
    amount = one(int(done)) + (f"/{one(int(total))}" if total is not None else "")
    named = "" if unit == BYTES else f" {unit}"
    rate = f"{speed:.1f}" if speed and unit != BYTES and speed < 10 else one(int(speed or 0))
    return f"{amount}{named}" + (f", {rate}/s" if speed else "")
