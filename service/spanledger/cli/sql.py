"""`spanledger sql`: read-only SQL on the same data that the API reads."""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from spanledger.cli.common import TENANT, existing, opened, running_api
from spanledger.cli.options import Place, application, examples, with_place
from spanledger.cli.output import say
from spanledger.errors import BadRequest
from spanledger.foreign.texts import printable

EXAMPLES = """\
  spanledger sql "SHOW TABLES"
  spanledger sql "SELECT model, sum(llm_calls), sum(cost_usd) FROM usage_1m GROUP BY model"
  spanledger sql --format csv - < question.sql > answer.csv
"""
Format = Literal["pretty", "json", "csv"]


@dataclass(frozen=True)
class _Question:
    """What the command line asks for."""

    query: str
    format: str
    all_tenants: bool
    start: str | None
    end: str | None


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def sql(
    place: Place,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The statement, or - for standard input.")],
    format: Annotated[Format, typer.Option("--format", help="Form of the answer.")] = "pretty",
    as_json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help=f"Rows of all tenants, not only {TENANT!r}.")
    ] = False,
    start: Annotated[
        str | None, typer.Option("--from", metavar="T", help="Only rows at or after this time, in tables with a time.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="T", help="Only rows before this time.")] = None,
) -> int:
    """Runs one reading statement, limited in time, rows and memory. `-` reads it from standard input."""
    text = sys.stdin.read() if query == "-" else query
    question = _Question(text, "json" if as_json else format, all_tenants, start, end)
    answer = _answer(place, question)
    if question.format == "pretty" or sys.stdout.isatty():
        answer = printable(answer.decode("utf-8", "replace")).encode()
    if not answer.strip():
        say("no rows")
    rest = memoryview(answer)
    sys.stdout.flush()
    while rest:  # an unbuffered stdout may take less than it is given
        rest = rest[sys.stdout.buffer.write(rest) :]
    sys.stdout.flush()
    return 0


def _answer(place: Place, question: _Question) -> bytes:
    import json

    chosen = place.settings()
    api = running_api(chosen)
    if api is not None:
        wish = {"query": question.query, "format": question.format, "all_tenants": question.all_tenants}
        wish |= {"from": question.start, "to": question.end}
        return api.send("POST", "/v1/sql", json.dumps(wish).encode())
    from spanledger.stats.sandbox.direct import Direct

    if question.start or question.end:
        raise BadRequest("--from and --to bound what a running `up` reads; here the query can say it itself")
    existing(chosen)
    with opened(chosen) as store:
        direct = Direct(store, None if question.all_tenants else TENANT)
        try:
            return direct.run(question.query, question.format)
        finally:
            direct.close()
