"""`spanledger erase`: takes out what is known of a user, a conversation or a trace."""

import argparse
import json
import sys
import time
from typing import Any

from spanledger.cli.common import TENANT, add_place, place, running_api
from spanledger.client import Api
from spanledger.errors import BadRequest, StoreError

DESCRIPTION = """\
Takes content, identity or everything of a user, a conversation or a trace out of all
tables and files of a running system. What arrives later with the same id is erased too."""
EXAMPLES = """\
examples:
  spanledger erase --user ann --scope identity     a keyed pseudonym takes the id's place
  spanledger erase --conversation support-42 --scope content
  spanledger erase --trace 4bf92f3577b34da6a3ce929d0e0e4736 --scope everything
  spanledger erase --list
  spanledger erase --lift 0af7651916cd43dd8448eb211c80319c
"""
_LOOK_S = 0.5


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("--user", metavar="ID")
    parser.add_argument("--conversation", metavar="ID")
    parser.add_argument("--trace", metavar="ID")
    parser.add_argument("--scope", choices=("content", "identity", "everything"), help="what is taken out")
    parser.add_argument("--tenant", default=TENANT, help=f"whose data it is (default {TENANT})")
    parser.add_argument("--list", action="store_true", help="erasures of the tenant")
    parser.add_argument("--lift", metavar="ID", help="what arrives from now on stays")
    parser.add_argument("--json", action="store_true")
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    subject = {"user_id": options.user, "conversation_id": options.conversation, "trace_id": options.trace}
    named = {name: value for name, value in subject.items() if value is not None}
    if sum((len(named), options.list, options.lift is not None)) != 1:
        raise BadRequest("give one of --user, --conversation, --trace, --list and --lift")
    if named and options.scope is None:
        raise BadRequest("give --scope content, identity or everything")
    api = running_api(place(options))
    if api is None:
        raise BadRequest("no `spanledger up` runs on this data folder; start it: it holds what an erasure must reach")
    if options.list:
        return _print(api.get("/v1/erasures", tenant=options.tenant)["items"], options.json)
    if options.lift:
        api.send("DELETE", f"/v1/erasures/{options.lift}?tenant={options.tenant}")
        return 0
    told = _ended(api, api.post("/v1/erasures", {**named, "scope": options.scope, "tenant": options.tenant}), options)
    _print([told], options.json)
    if told["state"] == "failed":
        raise StoreError(f"the erasure failed: {told['error']}; it is tried again at the next start")
    return 0 if told["report"]["balanced"] else 1


def _ended(api: Api, told: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    said = ""
    while told["state"] == "running":
        time.sleep(_LOOK_S)
        told = api.get("/v1/erasures", told["erasure_id"], tenant=options.tenant)
        if sys.stderr.isatty() and told["progress"] not in (None, said):
            said = told["progress"]
            print(said, file=sys.stderr)
    return told


def _print(found: list[dict[str, Any]], as_json: bool) -> int:
    print(json.dumps(found) if as_json else "\n".join(map(_text, found)))
    return 0


def _text(told: dict[str, Any]) -> str:
    head = f"{told['erasure_id']}  {told['requested_at']}  {told['kind']} {told['pseudonym'] or ''}  {told['scope']}"
    lines = [f"{head}  {told['state']}"]
    report = told["report"]
    if report is not None:
        lines.append(
            f"  {report['traces']} traces, {report['entries']} entries posted, {report['removed_usd']} USD removed"
        )
        lines += [f"  {table}: {count} rows" for table, count in report["rows"].items()]
        lines += [f"  {what}: {count}" for what, count in report["files"].items()]
        if report["old_parts"]:
            lines.append(f"  {report['old_parts']} old parts are on the disk until {report['old_parts_until']}")
        lines.append("  balanced" if report["balanced"] else f"  NOT balanced: {report['differences']} differences")
    return "\n".join(lines)
