"""`spanledger replay`: dead letters, and sending them through the door again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from spanledger.cli.common import existing, opened
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import Column, print_json, print_table
from spanledger.cli.progress import Bar, progress
from spanledger.client import running_api_of
from spanledger.settings import Settings

EXAMPLES = """\
  spanledger replay                              show what there is
  spanledger replay all                          try everything again
  spanledger replay traces-01a1fe03-9c1d2e3f     try one
"""
_SHOWN_REASON = 100  # characters
_GROUP = 100  # letters


@dataclass(frozen=True)
class _Letters:
    """Lists and sends dead letters, through a running system or in the data folder."""

    listed: Callable[[], list[dict[str, Any]]]
    replay: Callable[[list[str]], list[dict[str, Any]]]


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def replay(
    place: Place,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID...|all]", help="Which to send again; without one, the list is shown."),
    ] = None,
    only_list: Annotated[bool, typer.Option("--list", help="Only show them.")] = False,
    as_json: Json = False,
) -> int:
    """Lists dead letters, which are acknowledged records that could not be loaded, with the reason, and sends them
    again.

    Use it after an update that can read them, or when the store is repaired. Records that are loaded move to
    spool/dead/replayed in the data folder; the others stay, with the new reason. Works with and without a
    running `up`. Exit code 1 when a requested record could not be sent.
    """
    with _letters(place.settings()) as letters:
        if only_list or not ids:
            listed = letters.listed()
            if as_json:
                print_json(listed)
            else:
                _show(listed)
            return 0
        with progress("replay", unit="letters") as bar:
            results = _one_by_one(letters, ids, bar)
    if as_json:
        print_json(results)
    else:
        print("\n".join(_line(result) for result in results) or "there is nothing to replay")
    return 1 if any(result["result"] != "replayed" for result in results) else 0


def _one_by_one(letters: _Letters, ids: list[str], bar: Bar) -> list[dict[str, Any]]:
    """Sends them in groups, so that the bar moves; each group is loaded before the next."""
    wanted = [item["id"] for item in letters.listed()] if "all" in ids else ids
    bar.update(0, len(wanted))
    results = []
    for first in range(0, len(wanted), _GROUP):
        group = wanted[first : first + _GROUP]
        results += letters.replay(group)
        bar.advance(len(group))
    return results


@contextmanager
def _letters(chosen: Settings) -> Iterator[_Letters]:
    """The running system if there is one, else the data folder: dead letters are files in it, also with a server."""
    api = running_api_of(chosen.data_dir)
    if api is not None:
        yield _Letters(
            lambda: list(api.get("/v1/dead-letters")["items"]),
            lambda ids: list(api.post("/v1/dead-letters/replay", {"ids": ids})["results"]),
        )
        return
    from spanledger.ingest import dead

    existing(chosen)
    yield _Letters(
        lambda: [letter.as_dict() for letter in dead.letters(chosen.data_dir)], lambda ids: _at_rest(chosen, ids)
    )


def _at_rest(chosen: Settings, ids: list[str]) -> list[dict[str, Any]]:
    from spanledger.ingest.service import Ingest
    from spanledger.ledger.ledger import Ledger

    with opened(chosen, schema="migrate") as store:
        ledger, ingest = Ledger(store, chosen), Ingest(chosen, store)
        ingest.start(listen=False)
        try:
            outcomes = ingest.replay(ids)
            ledger.settler.settle_now()
        finally:
            ingest.stop()
    return [asdict(outcome) for outcome in outcomes]


def _show(items: list[dict[str, Any]]) -> None:
    if not items:
        print("no dead letters: everything that was acknowledged is loaded or waits to be")
        return
    columns = [Column("ID"), Column("SET ASIDE AT"), Column("BYTES", right=True), Column("RECORDS", right=True)]
    print_table([*columns, Column("REASON")], map(_row, items))
    if any(not item["records"] for item in items):
        print("Those without records are damaged: nothing in them can be sent again.")


def _row(item: dict[str, Any]) -> tuple[Any, ...]:
    reason = item["reason"].splitlines()[0] if item["reason"] else ""
    shown = reason if len(reason) <= _SHOWN_REASON else reason[: _SHOWN_REASON - 1] + "…"
    return item["id"], item["set_aside_at"], item["size_bytes"], item["records"], shown


def _line(result: dict[str, Any]) -> str:
    return f"{result['id']}: {result['result']}" + (f": {result['detail']}" if result["detail"] else "")
