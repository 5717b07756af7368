"""`spanledger prices`: what a model costs by the price book, and where another price list disagrees."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from spanledger import settings
from spanledger.cli.common import share
from spanledger.stats import times

DESCRIPTION = "Shows what a model costs by the price book (`show`), or where genai-prices disagrees with it (`check`)."
EXAMPLES = """\
examples:
  spanledger prices show gpt-4o-mini
  spanledger prices show claude-sonnet-4-5 --provider anthropic --at 2026-01-01
  spanledger prices check                exit code 1 when rates differ by more than 1 %
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    commands = parser.add_subparsers(dest="what", required=True, metavar="show|check")
    show = commands.add_parser("show", help="what a model costs")
    show.add_argument("model")
    show.add_argument("--provider", default="", help="only this seller")
    check = commands.add_parser("check", help="compare with genai-prices")
    check.add_argument(
        "--over", default="1%", metavar="SHARE", help="list what is further apart: 0.05 or 5%% (default 1%%)"
    )
    for command in (show, check):
        command.add_argument("--at", metavar="T", help="prices of that time (default: now)")
        command.add_argument("--price-book", type=Path, metavar="FILE", help="YAML of prices that go first")


def run(options: argparse.Namespace) -> int:
    from spanledger.cli import price_sheets
    from spanledger.pricing import load_book

    at = times.moment(times.parse_time(options.at, "--at")) if options.at else None
    file = options.price_book or settings.load().price_book
    book = load_book([Path(file)] if file else [])
    when = at or datetime.now(UTC)
    if options.what == "show":
        return price_sheets.prices_show(book, options.model, when, sys.stdout, options.provider)
    return price_sheets.prices_check(book, when, sys.stdout, share(options.over, "--over"))
