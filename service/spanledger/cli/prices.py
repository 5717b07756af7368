"""`spanledger prices`: what a model costs by the price book, and where another price list disagrees."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanledger.cli import options
from spanledger.cli.common import share
from spanledger.cli.options import Place, application, examples, with_config
from spanledger.cli.output import print_json

if TYPE_CHECKING:
    from spanledger.pricing.book import PriceBook

DESCRIPTION = "Shows what a model costs by the price book (`show`), or where genai-prices disagrees with it (`check`)."
EXAMPLES = """\
  spanledger prices show gpt-4o-mini
  spanledger prices show claude-sonnet-4-5 --provider anthropic --at 2026-01-01
  spanledger prices check                exit code 1 when rates differ by more than 1 %
"""
At = Annotated[str | None, typer.Option("--at", metavar="T", help="Prices of that time (default: now).")]
app = application(DESCRIPTION)


@app.command(epilog=examples(EXAMPLES))
@with_config
def show(
    place: Place,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Its name, as spans carry it.")],
    provider: Annotated[str, typer.Option("--provider", help="Only this seller.")] = "",
    at: At = None,
    price_book: options.PriceBook = None,
    as_json: options.Json = False,
) -> int:
    """Shows what a model costs. Exit code 1: it has no price."""
    from spanledger.cli import price_sheets

    if as_json:
        found = price_sheets.prices_json(_book(place, price_book), model, _moment(at), provider)
        print_json(found)
        return 0 if found else 1
    return price_sheets.prices_show(_book(place, price_book), model, _moment(at), sys.stdout, provider)


@app.command(epilog=examples(EXAMPLES))
@with_config
def check(
    place: Place,
    over: Annotated[
        str, typer.Option("--over", metavar="SHARE", help="List what is further apart: 0.05 or 5%.")
    ] = "1%",
    at: At = None,
    price_book: options.PriceBook = None,
    as_json: options.Json = False,
) -> int:
    """Compares the price book with genai-prices. Exit code 1: rates differ."""
    from spanledger.cli import price_sheets
    from spanledger.pricing.check import compare

    if as_json:
        found = compare(_book(place, price_book), _moment(at), share(over, "--over"))
        print_json(found._asdict() | {"disagreements": [one._asdict() for one in found.disagreements]})
        return 1 if found.disagreements else 0
    return price_sheets.prices_check(_book(place, price_book), _moment(at), sys.stdout, share(over, "--over"))


def _moment(at: str | None) -> datetime:
    from spanledger.stats import times

    return times.moment(times.parse_time(at, "--at")) or datetime.now(UTC) if at else datetime.now(UTC)


def _book(place: Place, price_book: Path | None) -> "PriceBook":
    from spanledger.pricing import load_book

    file = price_book or place.settings().price_book
    return load_book([Path(file)] if file else [])
