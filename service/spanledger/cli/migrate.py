"""`spanledger migrate`: applies the numbered SQL files once, in order."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from spanledger.cli.common import opened
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import Column, detail, print_json, print_table, say
from spanledger.cli.progress import Bar, progress
from spanledger.errors import StoreBusy
from spanledger.store.running import running_instance

if TYPE_CHECKING:
    from spanledger.store.migrate import SqlFile

EXAMPLES = """\
  spanledger migrate                     bring .spanledger up to date
  spanledger migrate --status            what is applied; exit code 1 when something is missing
  spanledger migrate --clickhouse-url http://default:secret@db:8123/spanledger
"""
app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def migrate(
    place: Place,
    status: Annotated[bool, typer.Option("--status", help="Only show what is applied.")] = False,
    as_json: Json = False,
) -> int:
    """Applies the numbered SQL files once, in order, and re-creates the views that changed."""
    from spanledger.store import migrate as migrations

    chosen = place.settings()
    info = None if chosen.clickhouse_url else running_instance(chosen.data_dir)
    if info is not None:
        if not status:
            raise StoreBusy(
                f"process {info['pid']} runs on {chosen.data_dir} and migrated it when it started; "
                "restart it with the new version to migrate"
            )
        if as_json:
            print_json({"running": {"pid": info["pid"], "version": info["version"]}, "files": []})
        else:
            print(f"in use by process {info['pid']} (spanledger {info['version']}), which migrated it when it started")
        return 0
    with opened(chosen, schema="any") as store:
        if status:
            return _show(migrations.status(store), as_json)
        with progress("migrate", migrations.pending(store), "files") as bar:
            applied = migrations.migrate(store, say=_teller(bar, as_json))
        where = "" if store.embedded else f" in database {store.database}"
        if as_json:
            print_json({"applied": applied})
        else:
            print((f"{applied} files applied" if applied else "up to date") + where)
        return 0


def _teller(bar: Bar, as_json: bool) -> Callable[[str], None]:
    """Says each file as it is applied: on the bar, or where there is none in lines."""

    def tell(text: str) -> None:
        if bar.shown:
            detail(text)
            bar.advance()
        elif as_json:
            say(text)
        else:
            print(text)

    return tell


def _show(files: "list[SqlFile]", as_json: bool) -> int:
    if as_json:
        print_json([{"name": file.name, "applied": file.applied} for file in files])
    else:
        print_table([Column(), Column()], [("applied" if file.applied else "MISSING", file.name) for file in files])
    return 0 if all(file.applied for file in files) else 1
