"""`spanledger migrate`: applies the numbered SQL files once, in order."""

import argparse

from spanledger.cli.common import add_place, opened, place
from spanledger.errors import StoreBusy
from spanledger.store.running import running_instance

DESCRIPTION = "Applies the numbered SQL files once, in order, and re-creates the views that changed."
EXAMPLES = """\
examples:
  spanledger migrate                     bring .spanledger up to date
  spanledger migrate --status            what is applied; exit code 1 when something is missing
  spanledger migrate --clickhouse-url http://default:secret@db:8123/spanledger
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add_place(parser)
    parser.add_argument("--status", action="store_true", help="only show what is applied")


def run(options: argparse.Namespace) -> int:
    from spanledger.store import migrate

    chosen = place(options)
    info = None if chosen.clickhouse_url else running_instance(chosen.data_dir)
    if info is not None:
        if not options.status:
            raise StoreBusy(
                f"process {info['pid']} runs on {chosen.data_dir} and migrated it when it started; "
                "restart it with the new version to migrate"
            )
        print(f"in use by process {info['pid']} (spanledger {info['version']}), which migrated it when it started")
        return 0
    with opened(chosen, schema="any") as store:
        if options.status:
            found = migrate.status(store)
            for file in found:
                print(f"{'applied' if file.applied else 'MISSING':8} {file.name}")
            return 0 if all(file.applied for file in found) else 1
        applied = migrate.migrate(store, say=print)
        where = "" if store.embedded else f" in database {store.database}"
        print((f"{applied} files applied" if applied else "up to date") + where)
        return 0
