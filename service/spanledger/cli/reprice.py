"""`spanledger reprice`: prices history again, as new ledger entries; the old figures stay beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from spanledger.cli.common import existing, opened, running_api
from spanledger.cli.options import Json, Place, PriceBook, Since, Until, application, examples, with_place
from spanledger.cli.output import print_json
from spanledger.errors import BadRequest
from spanledger.stats import times
from spanledger.stats.usage import decimal_text

EXAMPLES = """\
  spanledger reprice --from 2026-10-01 --to 2026-11-01 --dry-run
  spanledger reprice --from 2026-10-01 --to 2026-11-01 --price-book negotiated.yaml
  spanledger reprice --from 2026-10-01 --to 2026-11-01 --dry-run --by user
  spanledger reprice --undo 6f1c…
"""
_COLUMNS = {"model": ("provider", "model"), "user": ("tenant", "user"), "tenant": ("tenant",), "day": ("day",)}
By = Literal["model", "user", "tenant", "day"]


@dataclass(frozen=True)
class _Repricing:
    """What the command line asks for."""

    start: str | None
    end: str | None
    price_book: Path | None
    dry_run: bool
    by: By
    undo: str | None


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def reprice(
    place: Place,
    start: Since = None,
    end: Until = None,
    price_book: PriceBook = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    by: Annotated[By, typer.Option("--by", help="Groups that are listed.")] = "model",
    undo: Annotated[str | None, typer.Option("--undo", metavar="ID", help="Take a re-pricing back.")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="Which price book holds for which window.")] = False,
    as_json: Json = False,
) -> int:
    """Prices the calls of a window again, as new ledger entries. The old figures stay; --undo takes it back."""
    if sum([bool(undo), bool(start and end), only_list]) != 1:
        raise BadRequest("give --from and --to, or --undo ID, or --list")
    wanted = _Repricing(start, end, price_book, dry_run, by, undo)
    result = _list(place) if only_list else _result(place, wanted)
    if as_json:
        print_json(result)
    elif only_list:
        print("\n".join(f"{a['from']} to {a['to']}  {a['price_book']}  {a['reprice_id']}" for a in result["items"]))
    else:
        print(render(result, wanted))
    return 0


def _list(place: Place) -> dict[str, Any]:
    chosen = place.settings()
    api = running_api(chosen)
    if api is not None:
        answer: dict[str, Any] = api.get("/v1/reprice")
        return answer
    from spanledger.ledger import activations

    existing(chosen)
    with opened(chosen) as store:
        return activations.listed(store)


def _result(place: Place, wanted: _Repricing) -> dict[str, Any]:
    chosen = place.settings()
    book = wanted.price_book
    if book is not None and not book.is_file():
        raise BadRequest(f"{book}: there is no such file")
    api = running_api(chosen)
    if api is not None:
        wish = {"start": wanted.start, "end": wanted.end, "dry_run": wanted.dry_run, "undo": wanted.undo}
        if book is not None:
            wish |= {"price_book": book.read_text(), "price_book_name": book.name}
        answer: dict[str, Any] = api.post("/v1/reprice", wish)
        return answer
    from spanledger.ledger.ledger import Ledger

    existing(chosen)
    with opened(chosen) as store:
        ledger = Ledger(store, chosen)
        if wanted.undo:
            return ledger.undo_reprice(wanted.undo).as_dict()
        start, end = times.bounded(times.window(wanted.start, wanted.end))
        return ledger.reprice(start, end, book, wanted.dry_run).as_dict()


def render(result: dict[str, Any], wanted: _Repricing) -> str:
    """What changed per group, and the sums."""
    names = _COLUMNS[wanted.by]
    groups = result["groups"][wanted.by]
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
    if wanted.dry_run:
        return "\n".join([*lines, f"would price {sums}; nothing was posted"])
    if wanted.undo:
        return "\n".join([*lines, f"took it back, {sums}"])
    return "\n".join([*lines, f"priced {sums}; `spanledger reprice --undo {result['reprice_id']}` takes it back"])


def _line(names: Sequence[str], calls: int | str, old: str, new: str) -> str:
    return f"{' '.join(f'{name:32}' for name in names)} {calls:>8} {old:>22} {new:>22}"


def _plain(amount: str) -> str:
    return decimal_text(Decimal(amount))
