"""`spanledger reprice`: prices history again, as new ledger entries; the old figures stay beside them."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from spanledger.cli.common import LOOK_S, existing, opened, running_api
from spanledger.cli.options import Json, Place, PriceBook, Since, Until, application, examples, with_place
from spanledger.cli.output import Column, print_json, print_table
from spanledger.cli.progress import Bar, progress
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
    undo: Annotated[str | None, typer.Option("--undo", metavar="ID", help="Undo a re-pricing.")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="List which price book applies to which window.")] = False,
    as_json: Json = False,
) -> int:
    """Prices the calls of a window again, as new ledger entries. The old figures stay; --undo takes it back."""
    if sum([bool(undo), bool(start and end), only_list]) != 1:
        raise BadRequest("give --from and --to, or --undo ID, or --list")
    wanted = _Repricing(start, end, price_book, dry_run, by, undo)
    with progress("reprice") as bar:
        result = _list(place) if only_list else _result(place, wanted, bar)
    if as_json:
        print_json(result)
    elif only_list:
        _show_list(result["items"])
    else:
        _show(result, wanted)
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


def _result(place: Place, wanted: _Repricing, bar: Bar) -> dict[str, Any]:
    chosen = place.settings()
    book = wanted.price_book
    if book is not None and not book.is_file():
        raise BadRequest(f"{book}: there is no such file")
    api = running_api(chosen)
    if api is not None:
        wish = {"start": wanted.start, "end": wanted.end, "dry_run": wanted.dry_run, "undo": wanted.undo}
        if book is not None:
            wish |= {"price_book": book.read_text(), "price_book_name": book.name}
        answer: dict[str, Any] = api.post("/v1/reprice", {**wish, "wait": LOOK_S})
        while "reprice_id" not in answer:
            bar.tell(answer["progress"] or answer["state"])
            answer = api.get("/v1/operations", answer["operation_id"], wait=LOOK_S)
        return answer
    from spanledger.ledger.ledger import Ledger

    existing(chosen)
    with opened(chosen) as store:
        ledger = Ledger(store, chosen)
        if wanted.undo:
            return ledger.undo_reprice(wanted.undo, bar.tell).as_dict()
        start, end = times.bounded(times.window(wanted.start, wanted.end))
        return ledger.reprice(start, end, book, wanted.dry_run, bar.tell).as_dict()


def _show_list(items: list[dict[str, Any]]) -> None:
    if not items:
        print("no re-pricing is in force: every call has the price of its time in the bundled list and your price book")
        return
    print_table(
        [Column("from"), Column("to"), Column("price book"), Column("id")],
        [(one["from"], one["to"], one["price_book"], one["reprice_id"]) for one in items],
    )


def _show(result: dict[str, Any], wanted: _Repricing) -> None:
    """What changed per group, and the sums."""
    names, groups = _COLUMNS[wanted.by], result["groups"][wanted.by]
    changed = [one for one in groups["items"] if Decimal(one["difference_usd"])]
    rows = [([one[name] for name in names], one) for one in changed]
    if other := groups["other"]:
        rows.append((["", f"{groups['count'] - len(groups['items'])} others"][-len(names) :], other))
    if rows:
        print_table(
            [*map(Column, names), *(Column(title, right=True) for title in ("calls", "old USD", "new USD"))],
            [[*group, one["calls"], _cost(one, "old"), _cost(one, "new")] for group, one in rows],
        )
    if len(changed) < len(groups["items"]):
        print(f"{len(groups['items']) - len(changed)} other {wanted.by}s have no change of cost")
    sums = f"{result['calls']} calls in {result['traces']} traces: "
    sums += f"{_plain(result['old_usd'])} → {_plain(result['new_usd'])} USD"
    if wanted.dry_run:
        print(f"would price {sums}; nothing was posted")
    elif wanted.undo:
        print(f"took it back, {sums}")
    else:
        print(f"priced {sums}; `spanledger reprice --undo {result['reprice_id']}` takes it back")
    if not result["traces"]:
        print('no trace is in this window; `spanledger sql "SELECT min(started_at), max(started_at) FROM genai_spans"`')


def _cost(change: dict[str, Any], side: str) -> str:
    """The cost of a group before (`old`) or after (`new`); calls without a price are not shown as 0."""
    unpriced = change[f"{side}_unpriced_calls"]
    if unpriced and unpriced == change["calls"]:
        return "unpriced"
    return _plain(change[f"{side}_usd"]) + (f" ({unpriced} unpriced)" if unpriced else "")


def _plain(amount: str) -> str:
    return decimal_text(Decimal(amount))
