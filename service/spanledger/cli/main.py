"""The command `spanledger`. Only what a command needs is imported, and only once it is chosen."""

import argparse
import contextlib
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from typing import TextIO, cast

from spanledger import __version__
from spanledger.errors import SpanledgerError
from spanledger.foreign.texts import Terminal
from spanledger.private import scrub_logs

# name → (module below spanledger.cli, a module it cannot do without, what it does)
_COMMANDS = {
    "up": ("up", "spanledger.runtime.serve", "run the whole system in one process"),
    "migrate": ("migrate", "", "bring the schema up to date"),
    "sql": ("sql", "", "read-only SQL on the data"),
    "trace": ("trace", "", "show a trace with times, tokens, cost and errors"),
    "explain": ("explain", "", "show where a figure comes from: entries, calls, prices, what was read"),
    "export": ("export", "", "take data out: messages, calls, spans, ledger, usage, OTLP"),
    "audit": ("audit", "", "prove that the books balance, level by level"),
    "reprice": ("reprice", "spanledger.ledger.reprice", "price history again, as new ledger entries"),
    "reconcile": ("reconcile", "spanledger.reconcile.reconcile", "compare with a provider's usage export"),
    "prices": ("prices", "spanledger.cli.price_sheets", "show and check the price book"),
    "keys": ("keys", "", "make, list and revoke keys"),
    "ingest": ("ingest", "", "load OTLP files through the same door as the network"),
    "import": ("import_", "", "import history: JSON lines, ChatGPT's export, Messages' chat.db"),
    "replay": ("replay", "", "show dead letters and send them through the door again"),
    "doctor": ("doctor", "", "check that writing and reading work end to end"),
    "tour": ("tour", "", "go through everything the platform does"),
    "bench": ("bench", "spanledger.bench", "the benchmarks"),
}
_DESCRIPTION = "OpenTelemetry-native observability for LLM applications whose books balance."
_EXAMPLES = """\
examples:
  spanledger up --demo
  spanledger sql "SELECT model, sum(cost_usd) FROM usage_1m GROUP BY model"
  spanledger audit --from 2026-11-01

Every command takes --help. Settings: flags, then SPANLEDGER_* in the environment, then defaults.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; 0 for success, 1 for a check that failed, 2 for what a message on stderr explains."""
    scrub_logs()
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    with contextlib.redirect_stdout(cast(TextIO, out)), contextlib.redirect_stderr(cast(TextIO, err)):
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    os.environ["TZ"] = "UTC"  # the engine takes it for columns and functions that name no zone
    time.tzset()
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {name: entry for name, entry in _COMMANDS.items() if _installed(*entry[:2])}
    if not arguments or arguments[0] not in commands:
        return _without_command(arguments, commands)
    module = importlib.import_module(f"spanledger.cli.{commands[arguments[0]][0]}")
    parser = argparse.ArgumentParser(
        prog=f"spanledger {arguments[0]}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.configure(parser)
    options = parser.parse_args(arguments[1:])
    try:
        return int(module.run(options))
    except SpanledgerError as exc:
        print(f"spanledger {arguments[0]}: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"spanledger {arguments[0]}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (`… | head`) has gone; what Python would still flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _without_command(arguments: list[str], commands: dict[str, tuple[str, str, str]]) -> int:
    listed = "\n".join(f"  {name:10} {entry[2]}" for name, entry in commands.items())
    parser = argparse.ArgumentParser(
        prog="spanledger",
        usage="spanledger COMMAND …",
        description=f"{_DESCRIPTION}\n\ncommands:\n{listed}",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"spanledger {__version__}")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args(arguments)
    if options.command:
        parser.error(f"there is no command {options.command!r}; `spanledger --help` lists them")
    parser.print_help()
    return 0 if not arguments else 2


def _installed(module: str, needed: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in (f"spanledger.cli.{module}", needed) if name)


if __name__ == "__main__":
    sys.exit(main())
