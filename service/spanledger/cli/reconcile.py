"""`spanledger reconcile`: our books beside a provider's usage export, by day and model."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanledger.cli.common import TENANT, existing, opened, running_api, share
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import print_json

if TYPE_CHECKING:
    from spanledger.reconcile.usage_rows import UsageRow

EXAMPLES = """\
  spanledger reconcile completions_usage_2026-10.csv
  spanledger reconcile usage.json --tolerance 0.5%
"""

Groups = Callable[[str, str], list[dict[str, Any]]]  # from, to → usage by provider and model


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def reconcile(
    place: Place,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The export, CSV or JSON.")],
    tolerance: Annotated[
        str, typer.Option("--tolerance", metavar="SHARE", help="Allowed difference of a figure: 0.01 or 1%.")
    ] = "0",
    as_json: Json = False,
) -> int:
    """Compares the books with a usage or cost export of OpenAI or Anthropic, by day (UTC) and model.

    Exit code 0: every line matches within the tolerance, 1: not.
    """
    from spanledger.reconcile import reconcile as reconciling

    limit = share(tolerance, "--tolerance")
    export = reconciling.read_export(file)
    with _groups(place) as groups:
        ours = list(_rows(export.days, groups))
    report = reconciling.compare(export, ours, limit)
    if as_json:
        print_json(reconciling.to_json(report))
    else:
        print(reconciling.render(report))
    return 0 if report.within_tolerance else 1


@contextmanager
def _groups(place: Place) -> Iterator[Groups]:
    chosen = place.settings()
    api = running_api(chosen)
    if api is not None:
        yield lambda start, end: api.get("/v1/usage", from_=start, to=end, group_by="provider,model")["groups"]
        return
    from dataclasses import asdict

    from spanledger.stats import breakdown, times

    existing(chosen)
    with opened(chosen) as store:

        def ask(start: str, end: str) -> list[dict[str, Any]]:
            found = breakdown.breakdown(store, TENANT, times.window(start, end), ["provider", "model"])
            return [group | {"usage": asdict(group["usage"])} for group in found.groups]

        yield ask


def _rows(days: Iterable[date], groups: Groups) -> Iterator["UsageRow"]:
    from spanledger.reconcile.usage_rows import UsageRow

    for day in sorted(days):
        for group in groups(day.isoformat(), (day + timedelta(days=1)).isoformat()):
            usage = group["usage"]
            yield UsageRow(
                day,
                group["provider"],
                group["model"],
                usage["llm_calls"],
                usage["input_tokens"],
                usage["cache_read_input_tokens"],
                usage["cache_write_input_tokens"],
                usage["output_tokens"],
                Decimal(usage["cost_usd"]),
            )
