"""`spanledger keys`: makes, lists and revokes keys, whether `up` runs or not."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from spanledger.access.keys import FIRST_KEY, ROLES, KeyRing
from spanledger.cli.common import TENANT, add_place, place, running_api
from spanledger.client import Api
from spanledger.errors import NotFound, StoreBusy
from spanledger.settings import Settings
from spanledger.store.registry import FILE, Registry

DESCRIPTION = """\
Keys of a data folder. A key belongs to a tenant and has a role: ingest (send telemetry), chat (that, and talk to
models), read (look at everything of the tenant) or admin (all of it). Only a hash is kept."""
EXAMPLES = """\
examples:
  spanledger keys create --tenant acme --role ingest --name "billing service"
  spanledger keys create --tenant acme --role read --expires 2027-01-01
  spanledger keys list
  spanledger keys revoke gntcns4rzubf
"""
_ROW = "{:12}  {:20}  {:6}  {:24}  {:19}  {}"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="create|list|revoke")
    create = actions.add_parser("create", help="make a key and print it, once")
    create.add_argument("--tenant", default=TENANT, metavar="T", help=f"whose data it opens (default {TENANT})")
    create.add_argument("--role", required=True, choices=ROLES)
    create.add_argument("--name", default="", help="what it is for")
    create.add_argument("--expires", metavar="TIME", help="RFC 3339 time or date; default: never")
    listing = actions.add_parser("list", help="show the keys, without their secrets")
    listing.add_argument("--json", action="store_true")
    revoke = actions.add_parser("revoke", help="end a key")
    revoke.add_argument("key_id", metavar="ID", help="as `keys list` shows it")
    for one in (create, listing, revoke):
        add_place(one)


def run(options: argparse.Namespace) -> int:
    chosen = place(options)
    if options.action == "create":
        wish = {"tenant": options.tenant, "role": options.role, "name": options.name, "expires": options.expires}
        made = _create(chosen, wish)
        print(made["key"])
        print(
            f"key {made['key_id']} of tenant {made['tenant']}, role {made['role']}; it is not shown again",
            file=sys.stderr,
        )
        if made.get("notice"):
            print(made["notice"], file=sys.stderr)
    elif options.action == "list":
        keys = _list(chosen)
        print(json.dumps(keys, indent=2) if options.json else "\n".join(_table(keys)))
    else:
        _revoke(chosen, options.key_id)
        print(f"key {options.key_id} is revoked", file=sys.stderr)
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
    """The running API, which tells of the change. Without one the file is open to us: every process looks at it."""
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


def _table(keys: list[dict[str, Any]]) -> list[str]:
    lines = [_ROW.format("id", "tenant", "role", "name", "created", "state").rstrip()]
    for key in keys:
        state = "revoked" if key["revoked_at"] else f"until {key['expires_at']}" if key["expires_at"] else "good"
        lines.append(
            _ROW.format(key["key_id"], key["tenant"], key["role"], key["name"][:24], key["created_at"][:19], state)
        )
    return lines
