"""`spanledger reprice`: prices history again, as new ledger entries; the old figures stay beside them."""

import argparse
import json
from collections.abc import Sequence
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
  spanledger reprice --from 2026-10-01 --to 2026-11-01 --dry-run --by user
  spanledger reprice --undo 6f1c…
"""
_COLUMNS = {"model": ("provider", "model"), "user": ("tenant", "user"), "tenant": ("tenant",), "day": ("day",)}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("--from", dest="start", metavar="T", help="calls that started at or after it")
    parser.add_argument("--to", dest="end", metavar="T", help="calls that started before it")
    parser.add_argument(
        "--price-book", type=Path, metavar="FILE", help="YAML of prices that go before the bundled list"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    parser.add_argument("--by", choices=list(_COLUMNS), default="model", help="groups that are listed (default: model)")
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
    """What changed per group, and the sums."""
    names = _COLUMNS[options.by]
    groups = result["groups"][options.by]
    lines = [_line([*names], "calls", "old USD", "new USD")]
    changed = [one for one in groups["items"] if Decimal(one["difference_usd"])]
    lines += [
        _line([one[name] for name in names], one["calls"], _plain(one["old_usd"]), _plain(one["new_usd"]))
        for one in changed
    ]
    if other := groups["other"]:
        others = f"{groups['count'] - len(groups['items'])} others"
        lines.append(
            _line(["", others][-len(names) :], other["calls"], _plain(other["old_usd"]), _plain(other["new_usd"]))
        )
    if len(changed) < len(groups["items"]):
        lines.append(f"{len(groups['items']) - len(changed)} cost the same")
    sums = f"{result['calls']} calls in {result['traces']} traces: "
    sums += f"{_plain(result['old_usd'])} → {_plain(result['new_usd'])} USD"
    if options.dry_run:
        return "\n".join([*lines, f"would price {sums}; nothing was posted"])
    if options.undo:
        return "\n".join([*lines, f"took it back, {sums}"])
    return "\n".join([*lines, f"priced {sums}; `spanledger reprice --undo {result['reprice_id']}` takes it back"])


def _line(names: Sequence[str], calls: int | str, old: str, new: str) -> str:
    return f"{' '.join(f'{name:32}' for name in names)} {calls:>8} {old:>22} {new:>22}"


def _plain(amount: str) -> str:
    return decimal_text(Decimal(amount))
