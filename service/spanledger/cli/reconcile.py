"""`spanledger reconcile`: our books beside a provider's usage export, by day and model."""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spanledger.cli.common import TENANT, add_place, existing, opened, place, running_api, share

if TYPE_CHECKING:
    from spanledger.reconcile.usage_rows import UsageRow

DESCRIPTION = """\
Compares the books with a usage or cost export of OpenAI or Anthropic (CSV or JSON), by day (UTC) and model.
Exit code 0: every line matches within the tolerance, 1: not."""
EXAMPLES = """\
examples:
  spanledger reconcile completions_usage_2026-10.csv
  spanledger reconcile usage.json --tolerance 0.5%%
"""

Groups = Callable[[str, str], list[dict[str, Any]]]  # from, to → usage by provider and model


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES.replace("%%", "%")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--tolerance", default="0", metavar="SHARE", help="how far a figure may be off: 0.01 or 1%%")
    parser.add_argument("--json", action="store_true")
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    from spanledger.reconcile import reconcile

    tolerance = share(options.tolerance, "--tolerance")
    export = reconcile.read_export(options.file)
    with _groups(options) as groups:
        ours = list(_rows(export.days, groups))
    report = reconcile.compare(export, ours, tolerance)
    print(json.dumps(reconcile.to_json(report)) if options.json else reconcile.render(report))
    return 0 if report.within_tolerance else 1


@contextmanager
def _groups(options: argparse.Namespace) -> Iterator[Groups]:
    chosen = place(options)
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
