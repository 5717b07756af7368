"""`spanledger erase`: takes out what is known of a user, a conversation or a trace."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from spanledger.cli.common import TENANT, running_api
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import Column, print_json, print_table
from spanledger.cli.progress import progress
from spanledger.client import Api
from spanledger.errors import BadRequest, StoreError

EXAMPLES = """\
  spanledger erase --user ann --scope identity     a keyed pseudonym takes the id's place
  spanledger erase --conversation support-42 --scope content
  spanledger erase --trace 4bf92f3577b34da6a3ce929d0e0e4736 --scope everything
  spanledger erase --list
  spanledger erase --lift 0af7651916cd43dd8448eb211c80319c
"""
_LOOK_S = 0.5
Scope = Literal["content", "identity", "everything"]

app = application()


def _id(flag: str, meaning: str) -> Any:
    return typer.Option(flag, metavar="ID", help=meaning)


@app.command(epilog=examples(EXAMPLES))
@with_place
def erase(
    place: Place,
    user: Annotated[str | None, _id("--user", "The user whose data is erased.")] = None,
    conversation: Annotated[str | None, _id("--conversation", "The conversation whose data is erased.")] = None,
    trace: Annotated[str | None, _id("--trace", "The trace whose data is erased.")] = None,
    scope: Annotated[
        Scope | None, typer.Option("--scope", help="What to erase: texts, the id with the texts, or every row.")
    ] = None,
    tenant: Annotated[str, typer.Option("--tenant", metavar="T", help="Tenant that the data belongs to.")] = TENANT,
    only_list: Annotated[bool, typer.Option("--list", help="Erasures of the tenant.")] = False,
    lift: Annotated[str | None, _id("--lift", "End an erasure: what arrives from now on stays.")] = None,
    as_json: Json = False,
) -> int:
    """Erases the content, the identity or all data of a user, a conversation or a trace from all tables and files of a
    running system. Data that arrives later with the same id is erased too."""
    subject = {"user_id": user, "conversation_id": conversation, "trace_id": trace}
    named = {name: value for name, value in subject.items() if value is not None}
    if sum((len(named), only_list, lift is not None)) != 1:
        raise BadRequest("give one of --user, --conversation, --trace, --list and --lift")
    if named and scope is None:
        raise BadRequest("give --scope content, identity or everything")
    api = running_api(place.settings())
    if api is None:
        raise BadRequest("no `spanledger up` runs on this data folder; start it: it holds what an erasure must reach")
    if only_list:
        _list(api.get("/v1/erasures", tenant=tenant)["items"], as_json)
        return 0
    if lift is not None:
        api.send("DELETE", f"/v1/erasures/{lift}?tenant={tenant}")
        return 0
    with progress("erase") as bar:
        erasure = _ended(api, api.post("/v1/erasures", {**named, "scope": scope, "tenant": tenant}), tenant, bar.tell)
    return _show(erasure, as_json)


def _ended(api: Api, erasure: dict[str, Any], tenant: str, tell: Callable[[str], None]) -> dict[str, Any]:
    while erasure["state"] == "running":
        time.sleep(_LOOK_S)
        erasure = api.get("/v1/erasures", erasure["erasure_id"], tenant=tenant)
        if erasure["progress"]:
            tell(erasure["progress"])
    if erasure["state"] == "failed":
        raise StoreError(f"the erasure failed: {erasure['error']}; it is tried again at the next start")
    return erasure


def _list(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    titles = ("erasure_id", "requested_at", "kind", "scope", "state", "pseudonym", "arrived_again")
    print_table([Column(title) for title in titles], [[one[title] or "" for title in titles] for one in found])


def _show(erasure: dict[str, Any], as_json: bool) -> int:
    """0 when the books balance."""
    report = erasure["report"]
    if as_json:
        print_json(erasure)
        return 0 if report["balanced"] else 1
    print(f"erasure {erasure['erasure_id']}: {report['traces']} traces, {report['entries']} entries posted")
    changed = [*report["rows"].items(), *report["files"].items()]
    print_table([Column("changed"), Column("count", right=True)], changed)
    if report["removed_calls"]:
        print(f"{report['removed_calls']} calls and {report['removed_usd']} USD removed from the books")
    if report["old_parts"]:
        print(f"{report['old_parts']} replaced parts of tables are on the disk until {report['old_parts_until']}")
    print("balanced" if report["balanced"] else f"NOT balanced: {report['differences']} differences")
    return 0 if report["balanced"] else 1
