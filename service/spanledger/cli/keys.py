"""`spanledger keys`: makes, lists and revokes keys, whether `up` runs or not."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Any, Literal

import typer

from spanledger.access.keys import FIRST_KEY, KeyRing
from spanledger.cli.common import TENANT, running_api
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import Column, print_json, print_table, say
from spanledger.client import Api
from spanledger.errors import NotFound, StoreBusy
from spanledger.settings import Settings
from spanledger.store.registry import FILE, Registry

DESCRIPTION = """\
Keys of a data folder. A key belongs to a tenant and has a role: ingest (send telemetry), chat (that, and talk to
models), read (look at everything of the tenant) or admin (all of it). Only a hash is kept."""
EXAMPLES = """\
  spanledger keys create --tenant acme --role ingest --name "billing service"
  spanledger keys create --tenant acme --role read --expires 2027-01-01
  spanledger keys list
  spanledger keys revoke gntcns4rzubf
"""


Role = Literal["ingest", "chat", "read", "admin"]
app = application(DESCRIPTION)


@app.command(epilog=examples(EXAMPLES))
@with_place
def create(
    place: Place,
    role: Annotated[Role, typer.Option("--role", help="What the key allows.")],
    tenant: Annotated[str, typer.Option("--tenant", metavar="T", help="Tenant of the key.")] = TENANT,
    name: Annotated[str, typer.Option("--name", help="A label, to recognise the key.")] = "",
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="RFC 3339 time or date; default: never.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Creates a key and prints it once."""
    made = _create(place.settings(), {"tenant": tenant, "role": role, "name": name, "expires": expires})
    if as_json:
        print_json(made)
        return 0
    print(made["key"])
    say(f"key {made['key_id']} of tenant {made['tenant']}, role {made['role']}; it is not shown again")
    if made.get("notice"):
        say(made["notice"])
    return 0


@app.command("list", epilog=examples(EXAMPLES))
@with_place
def list_keys(place: Place, as_json: Json = False) -> int:
    """Shows the keys, without their secrets."""
    keys = _list(place.settings())
    if as_json:
        print(json.dumps(keys, indent=2))
    else:
        _show(keys)
    return 0


@app.command(epilog=examples(EXAMPLES))
@with_place
def revoke(place: Place, key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]) -> int:
    """Revokes a key."""
    _revoke(place.settings(), key_id)
    say(f"key {key_id} is revoked")
    return 0


def _create(chosen: Settings, wish: dict[str, Any]) -> dict[str, Any]:
    if api := _api(chosen):
        answer: dict[str, Any] = api.post("/v1/keys", wish)
        return answer
    from spanledger.stats.times import moment, parse_time

    expires = moment(parse_time(wish["expires"], "expires")) if wish["expires"] else None
    with _ring(chosen) as ring:
        first = not ring.any()
        key, text = ring.create(wish["tenant"], wish["role"], wish["name"], expires)
        return {**key.shown(), "key": text, "notice": FIRST_KEY if first else ""}


def _list(chosen: Settings) -> list[dict[str, Any]]:
    if api := _api(chosen):
        items: list[dict[str, Any]] = api.get("/v1/keys")["items"]
        return items
    _existing(chosen)
    with _ring(chosen) as ring:
        return [key.shown() for key in ring.list(None)]


def _revoke(chosen: Settings, key_id: str) -> None:
    if api := _api(chosen):
        api.send("DELETE", f"/v1/keys/{key_id}")
        return
    _existing(chosen)
    with _ring(chosen) as ring:
        ring.revoke(key_id, None)


def _api(chosen: Settings) -> Api | None:
    """The running API, which reports the change. Without one the registry file is changed; all processes read it."""
    try:
        return running_api(chosen)
    except StoreBusy:
        return None


def _existing(chosen: Settings) -> None:
    """A typing error must not make a folder. Raises NotFound."""
    if not (chosen.data_dir / FILE).exists():
        raise NotFound(f"there are no keys in {chosen.data_dir}")


@contextmanager
def _ring(chosen: Settings) -> Iterator[KeyRing]:
    with closing(Registry(chosen.data_dir)) as registry:
        yield KeyRing(registry)


def _show(keys: list[dict[str, Any]]) -> None:
    if not keys:
        print("there are no keys; `spanledger keys create --role read` makes one")
        return
    print_table([Column(title) for title in ("id", "tenant", "role", "name", "created", "state")], map(_row, keys))


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    state = "revoked" if key["revoked_at"] else f"until {key['expires_at']}" if key["expires_at"] else "good"
    return key["key_id"], key["tenant"], key["role"], key["name"], key["created_at"][:19], state
