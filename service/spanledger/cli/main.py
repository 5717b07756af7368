"""The command `spanledger`. Only what a command needs is imported, and only once it is chosen."""

import contextlib
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, NoReturn, TextIO, cast

import typer
from typer.core import TyperCommand, TyperGroup

from spanledger import __version__
from spanledger.cli.options import examples, markup_mode
from spanledger.errors import SpanledgerError
from spanledger.foreign.texts import Terminal
from spanledger.private import scrub_logs

# name → (module below spanledger.cli, what it does)
COMMANDS = {
    "up": ("up", "run the whole system in one process"),
    "init": ("init", "write a settings file in which every setting is explained"),
    "status": ("status", "show processes, lag, sizes, last audit, dead letters"),
    "migrate": ("migrate", "bring the schema up to date"),
    "sql": ("sql", "read-only SQL on the data"),
    "trace": ("trace", "show a trace with times, tokens, cost and errors"),
    "explain": ("explain", "show where a figure comes from: entries, calls, prices, attributes"),
    "export": ("export", "export messages, calls, spans, ledger, usage or OTLP"),
    "audit": ("audit", "check that the books balance, level by level"),
    "erase": ("erase", "erase the data of a user, a conversation or a trace"),
    "reprice": ("reprice", "apply other prices to past calls, as new entries"),
    "reconcile": ("reconcile", "compare with a provider's usage export"),
    "prices": ("prices", "show and check the price book"),
    "keys": ("keys", "create, list and revoke keys"),
    "ingest": ("ingest", "load OTLP files as if they came over the network"),
    "import": ("import_", "import history: JSON lines, ChatGPT's and Claude's exports, Messages' chat.db"),
    "replay": ("replay", "list dead letters and send them again"),
    "doctor": ("doctor", "check that writing and reading work end to end"),
    "tour": ("tour", "a tour of everything the platform does"),
    "bench": ("bench", "the benchmarks"),
}
_EXAMPLES = """\
  spanledger up --demo
  spanledger sql "SELECT model, sum(cost_usd) FROM usage_1m GROUP BY model"
  spanledger audit --from 2026-11-01
  spanledger --install-completion

Every command takes --help. Settings: flags, then SPANLEDGER_* in the environment, then
  spanledger.toml (`spanledger init` writes one), then defaults.
"""


class Commands(TyperGroup):
    """The commands by name. Lists show their one line; the module of a command is imported when it is chosen."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1], rich_markup_mode=self.rich_markup_mode)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = args[0]
        if name in COMMANDS:
            return name, load(name), args[1:]
        if ctx.resilient_parsing:
            return None, None, args[1:]
        close = get_close_matches(name, COMMANDS, 1)
        meant = f"is {close[0]!r} meant? " if close else ""
        refuse: Callable[[str], NoReturn] = ctx.fail
        return refuse(f"there is no command {name!r}; {meant}`spanledger --help` lists them")

    def invoke(self, ctx: Any) -> NoReturn:
        """Ends with the exit code of the command: what it returned, or 2, 130, 141 for what stopped it."""
        end: Callable[[int], NoReturn] = ctx.exit
        end(self._exit_code(ctx))

    def _exit_code(self, ctx: Any) -> int:
        try:
            return int(super().invoke(ctx) or 0)
        except SpanledgerError as exc:
            print(f"spanledger {ctx.invoked_subcommand}: {exc}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f"spanledger {ctx.invoked_subcommand}: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:
            # The reader of our output (`… | head`) has gone; what Python would still flush at exit goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141


def load(name: str) -> Any:
    """The Click command, or group of commands, of a name."""
    command: Any = typer.main.get_command(importlib.import_module(f"spanledger.cli.{COMMANDS[name][0]}").app)
    command.name = name
    return command


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"spanledger {__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """OpenTelemetry-native observability for LLM applications whose books balance."""


def application() -> TyperGroup:
    """The whole command line."""
    app = typer.Typer(cls=Commands, rich_markup_mode=markup_mode(), pretty_exceptions_enable=False)
    app.callback(epilog=examples(_EXAMPLES))(_root)
    return cast(TyperGroup, typer.main.get_command(app))


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs a command; exits with 0 for success, 1 for a check that failed, 2 for what a message on stderr explains."""
    scrub_logs()
    os.environ["TZ"] = "UTC"  # the engine takes it for columns and functions that name no zone
    time.tzset()
    arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    with contextlib.redirect_stdout(cast(TextIO, out)), contextlib.redirect_stderr(cast(TextIO, err)):
        application()(args=arguments, prog_name="spanledger")
    raise AssertionError("a command exits by itself")


if __name__ == "__main__":
    main()
