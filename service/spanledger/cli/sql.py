"""`spanledger sql`: read-only SQL on the same data that the API reads."""

import argparse
import sys

from spanledger.cli.common import TENANT, add_place, existing, opened, place, running_api
from spanledger.errors import BadRequest
from spanledger.foreign.texts import printable

DESCRIPTION = "Runs one reading statement, limited in time, rows and memory. `-` reads it from standard input."
EXAMPLES = """\
examples:
  spanledger sql "SHOW TABLES"
  spanledger sql "SELECT model, sum(llm_calls), sum(cost_usd) FROM usage_1m GROUP BY model"
  spanledger sql --format csv - < question.sql > answer.csv
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("query", help="the statement, or - for standard input")
    parser.add_argument("--format", choices=("pretty", "json", "csv"), default="pretty")
    parser.add_argument("--all-tenants", action="store_true", help=f"rows of all tenants, not only {TENANT!r}")
    parser.add_argument("--from", dest="start", metavar="T", help="rows at or after it alone, in tables with a time")
    parser.add_argument("--to", dest="end", metavar="T", help="rows before it alone")
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    query = sys.stdin.read() if options.query == "-" else options.query
    answer = _answer(options, query)
    if options.format == "pretty" or sys.stdout.isatty():
        answer = printable(answer.decode("utf-8", "replace")).encode()
    rest = memoryview(answer)
    sys.stdout.flush()
    while rest:  # an unbuffered stdout may take less than it is given
        rest = rest[sys.stdout.buffer.write(rest) :]
    sys.stdout.flush()
    return 0


def _answer(options: argparse.Namespace, query: str) -> bytes:
    import json

    chosen = place(options)
    api = running_api(chosen)
    if api is not None:
        wish = {"query": query, "format": options.format, "all_tenants": options.all_tenants}
        wish |= {"from": options.start, "to": options.end}
        return api.send("POST", "/v1/sql", json.dumps(wish).encode())
    from spanledger.stats.sandbox.direct import Direct

    if options.start or options.end:
        raise BadRequest("--from and --to bound what a running `up` reads; here the query can say it itself")
    existing(chosen)
    with opened(chosen) as store:
        direct = Direct(store, None if options.all_tenants else TENANT)
        try:
            return direct.run(query, options.format)
        finally:
            direct.close()
