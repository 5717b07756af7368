"""`spanledger reprice`: prices history again, as new ledger entries; the old figures stay beside them."""

import argparse
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from spanledger.cli.common import add_place, existing, opened, place, running_api
from spanledger.errors import BadRequest
from spanledger.stats import times
from spanledger.stats.usage import decimal_text

DESCRIPTION = "Prices the calls of a window again, as new ledger entries. The old figures stay; --undo takes it back."
EXAMPLES = """\
examples:
  spanledger reprice --from 2026-10-01 --to 2026-11-01 --dry-run
  spanledger reprice --from 2026-10-01 --to 2026-11-01 --price-book negotiated.yaml
  spanledger reprice --undo 6f1c…
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("--from", dest="start", metavar="T", help="calls that started at or after it")
    parser.add_argument("--to", dest="end", metavar="T", help="calls that started before it")
    parser.add_argument(
        "--price-book", type=Path, metavar="FILE", help="YAML of prices that go before the bundled list"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    parser.add_argument("--undo", metavar="ID", help="take a re-pricing back")
    parser.add_argument("--list", action="store_true", help="which price book holds for which window")
    parser.add_argument("--json", action="store_true")
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    asked = [bool(options.undo), bool(options.start and options.end), options.list]
    if sum(asked) != 1:
        raise BadRequest("give --from and --to, or --undo ID, or --list")
    result = _list(options) if options.list else _result(options)
    if options.json:
        print(json.dumps(result))
    elif options.list:
        print("\n".join(f"{a['from']} to {a['to']}  {a['price_book']}  {a['reprice_id']}" for a in result["items"]))
    else:
        print(render(result, options))
    return 0


def _list(options: argparse.Namespace) -> dict[str, Any]:
    chosen = place(options)
    api = running_api(chosen)
    if api is not None:
        answer: dict[str, Any] = api.get("/v1/reprice")
        return answer
    from spanledger.ledger import activations

    existing(chosen)
    with opened(chosen) as store:
        return activations.listed(store)


def _result(options: argparse.Namespace) -> dict[str, Any]:
    chosen = place(options)
    book: Path | None = options.price_book
    if book is not None and not book.is_file():
        raise BadRequest(f"{book}: there is no such file")
    api = running_api(chosen)
    if api is not None:
        wish = {"start": options.start, "end": options.end, "dry_run": options.dry_run, "undo": options.undo}
        if book is not None:
            wish |= {"price_book": book.read_text(), "price_book_name": book.name}
        answer: dict[str, Any] = api.post("/v1/reprice", wish)
        return answer
    from spanledger.ledger.ledger import Ledger

    existing(chosen)
    with opened(chosen) as store:
        ledger = Ledger(store, chosen)
        if options.undo:
            return ledger.undo_reprice(options.undo).as_dict()
        start, end = times.bounded(times.window(options.start, options.end))
        return ledger.reprice(start, end, book, options.dry_run).as_dict()


def render(result: dict[str, Any], options: argparse.Namespace) -> str:
    """What changed per model, and the sums."""
    lines = [f"{'provider':24} {'model':40} {'calls':>8} {'old USD':>22} {'new USD':>22}"]
    changed = [m for m in result["models"] if Decimal(m["old_usd"]) != Decimal(m["new_usd"])]
    lines += [
        f"{m['provider']:24} {m['model']:40} {m['calls']:>8} {_plain(m['old_usd']):>22} {_plain(m['new_usd']):>22}"
        for m in changed
    ]
    if len(changed) < len(result["models"]):
        lines.append(f"{len(result['models']) - len(changed)} models cost the same")
    sums = f"{result['calls']} calls in {result['traces']} traces: "
    sums += f"{_plain(result['old_usd'])} → {_plain(result['new_usd'])} USD"
    if options.dry_run:
        return "\n".join([*lines, f"would price {sums}; nothing was posted"])
    if options.undo:
        return "\n".join([*lines, f"took it back, {sums}"])
    return "\n".join([*lines, f"priced {sums}; `spanledger reprice --undo {result['reprice_id']}` takes it back"])


def _plain(amount: str) -> str:
    return decimal_text(Decimal(amount))
