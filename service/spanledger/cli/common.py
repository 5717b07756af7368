"""The way to the data, for all commands: the API of a running `up`, or the store itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal

from spanledger.cli.output import detail, say
from spanledger.client import Api, running_api_of
from spanledger.errors import BadRequest, SchemaError
from spanledger.settings import Settings
from spanledger.store import running

if TYPE_CHECKING:
    from spanledger.store.client import Store

TENANT = "default"
Schema = Literal["required", "migrate", "any"]


def running_api(chosen: Settings) -> Api | None:
    """The API of the `up` that runs on this data folder; None when none does or a server holds the data.

    Raises StoreBusy when one runs that cannot be talked to.
    """
    api = None if chosen.clickhouse_url else running_api_of(chosen.data_dir)
    detail(f"asking the spanledger at {api.url}" if api is not None else "no spanledger runs on this data folder")
    return api


LOOK_S = 1.0  # an answer about a running operation comes after it at the latest, for the progress bar


@contextmanager
def opened(chosen: Settings, schema: Schema = "required") -> Iterator["Store"]:
    """The store itself, when no running `up` holds it; closed afterwards.

    `schema`: "required" to be complete, made so ("migrate"), or left as it is ("any"). A complete one is also put right
    after an unclean stop. Raises StoreError; SchemaError for a schema that is incomplete or newer than this program.
    """
    from spanledger.store import migrate
    from spanledger.store.client import open_embedded, open_server

    embedded = not chosen.clickhouse_url
    detail(f"opening {chosen.data_dir if embedded else 'the ClickHouse server'}")
    store = open_embedded(chosen.data_dir) if embedded else open_server(chosen.clickhouse_url)
    try:
        if schema == "migrate":
            migrate.prepare(store, say)
        if schema == "required" and not migrate.ready(store):
            raise SchemaError("the data is not migrated to this version; run `spanledger migrate` (or `up`) first")
        clean = not embedded or running.begin(chosen.data_dir)
        if not clean and schema != "any":
            from spanledger.ledger import audit

            audit.after_unclean_stop(store, say)
            clean = True
        yield store
        if clean and embedded:
            running.finish(chosen.data_dir)
    finally:
        store.close()


def existing(chosen: Settings) -> None:
    """Refuses a data folder that holds nothing, so that a typing error does not create one. Raises SchemaError."""
    if not chosen.clickhouse_url and not (chosen.data_dir / "clickhouse").is_dir():
        raise SchemaError(f"there is no data in {chosen.data_dir}; start `spanledger up`, or give another --data-dir")


def share(text: str, flag: str) -> Decimal:
    """`0.01` or `1%` as a share of one. Raises BadRequest."""
    try:
        found = Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if 0 <= found <= 1:
            return found
    except InvalidOperation:
        pass
    raise BadRequest(f"{flag} {text!r} is not a share; write 0.01 or 1%")
