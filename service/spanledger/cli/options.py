"""Options that several commands share, and the Typer applications that the commands are declared in.

A command is a function: its signature declares the options, its docstring is the help. `with_place` adds the options
that say where the data is, `with_config` those of every command.
"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, Literal, ParamSpec

import typer

from spanledger import settings
from spanledger.cli import output
from spanledger.settings import Settings

P = ParamSpec("P")
Command = Callable[..., int]

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Since = Annotated[
    str | None,
    typer.Option("--from", metavar="T", help="Start of the window: RFC 3339, a date or an age such as -24h."),
]
Until = Annotated[str | None, typer.Option("--to", metavar="T", help="End of the window; it is not part of it.")]
PriceBook = Annotated[
    Path | None, typer.Option("--price-book", metavar="FILE", help="YAML of prices that go before the bundled list.")
]


@dataclass(frozen=True)
class Place:
    """Where the data is and which settings hold, as the command line says."""

    data_dir: Path | None = None
    clickhouse_url: str | None = None
    config: Path | None = None

    def settings(self, **flags: Any) -> Settings:
        """Flags, then the environment, then the settings file, then the defaults. Raises SettingsError."""
        file = settings.find_file(self.config)
        output.detail(f"settings file: {file or 'none'}")
        for unknown in settings.unknown_variables():
            output.say(unknown)
        return settings.load(file=file, data_dir=self.data_dir, clickhouse_url=self.clickhouse_url, **flags)


def application(description: str | None = None) -> typer.Typer:
    """The Typer application of one command, or of a group of commands with a description."""
    app = typer.Typer(
        help=description, rich_markup_mode=markup_mode(), add_completion=False, pretty_exceptions_enable=False
    )
    if description is not None:
        app.callback()(lambda: None)
    return app


def markup_mode() -> Literal["rich", None]:
    """Help in boxes and colours on a terminal, plain text elsewhere."""
    return "rich" if sys.stdout.isatty() else None


def examples(text: str) -> str:
    """An epilog whose lines Typer leaves as they are."""
    return "\n\n".join(f"\b\n{paragraph}" for paragraph in f"examples:\n{text.rstrip()}".split("\n\n"))


def _where(
    *,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Data folder (default .spanledger).")
    ] = None,
    clickhouse_url: Annotated[
        str | None,
        typer.Option(
            "--clickhouse-url",
            metavar="URL",
            help="http://user:password@host:8123/database instead of the embedded engine.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings file (default spanledger.toml, where there is one)."),
    ] = None,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, show_default=False, help="More details on standard error.")
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on standard error.")] = False,
) -> Place:
    output.set_level(-1 if quiet else verbose)
    return Place(data_dir, clickhouse_url, config)


_EVERYWHERE = ("config", "verbose", "quiet")


def with_place(command: Callable[Concatenate[Place, P], int]) -> Command:
    """The command with the options that say where the data is."""
    return _extended(command, list(inspect.signature(_where, eval_str=True).parameters.values()))


def with_config(command: Callable[Concatenate[Place, P], int]) -> Command:
    """The command with the options of every command; it needs no data."""
    shared = inspect.signature(_where, eval_str=True).parameters
    return _extended(command, [shared[name] for name in _EVERYWHERE])


def _extended(command: Callable[Concatenate[Place, P], int], shared: list[inspect.Parameter]) -> Command:
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    @wraps(command)
    def run(**given: Any) -> int:
        place = _where(**{option.name: given.pop(option.name) for option in shared})
        return command(place, **given)  # type: ignore[call-arg]

    del run.__wrapped__  # Typer reads the signature below, not that of the command
    run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in (*own, *shared)}
    return run
