"""`spanledger audit`: recomputes the books from the raw spans and compares them level by level."""

from collections import Counter
from typing import Annotated, Any

import typer

from spanledger.cli.common import LOOK_S, existing, opened, running_api
from spanledger.cli.options import Json, Place, Since, Until, application, examples, with_place
from spanledger.cli.output import Column, print_json, print_table
from spanledger.cli.progress import Bar, progress

EXAMPLES = """\
  spanledger audit
  spanledger audit --from 2026-11-01 --to 2026-12-01T00:00:00Z --json
  spanledger audit --repair              post what is missing, and report it
"""
_SHOWN = 200
_KINDS = 12


app = application()


@app.command(epilog=examples(EXAMPLES))
@with_place
def audit(
    place: Place,
    start: Since = None,
    end: Until = None,
    as_json: Json = False,
    repair: Annotated[bool, typer.Option("--repair", help="Post the differences.")] = False,
) -> int:
    """Recomputes the books from the raw spans and compares them level by level.

    Exit code 0: balanced (with --repair: afterwards), 1: not. Every difference is listed.
    """
    with progress("audit") as bar:
        report = _report(place, start, end, repair, bar)
        balanced = report["balanced"]
        if report["repaired"]:
            balanced = report["balanced_after_repair"] = _report(place, start, end, False, bar)["balanced"]
    if as_json:
        print_json(report)
    else:
        _show(report)
    return 0 if balanced else 1


def _report(place: Place, start: str | None, end: str | None, repair: bool, bar: Bar) -> dict[str, Any]:
    chosen = place.settings()
    api = running_api(chosen)
    if api is not None:
        wish = {"start": start, "end": end, "repair": repair}
        report: dict[str, Any] = api.post("/v1/audit", {**wish, "wait": LOOK_S})
        while "balanced" not in report:
            bar.tell(report["progress"] or report["state"])
            report = api.get("/v1/operations", report["operation_id"], wait=LOOK_S)
        return report
    from spanledger.ledger.ledger import Ledger
    from spanledger.stats import times

    existing(chosen)
    window = times.window(start, end)
    with opened(chosen) as store:
        found = Ledger(store, chosen).audit(times.moment(window.start), times.moment(window.end), repair, say=bar.tell)
        return found.as_dict()


def _show(report: dict[str, Any]) -> None:
    """A table of the levels, then every difference."""
    print(f"audit of {report['from'] or 'the beginning'} to {report['to'] or 'now'}")
    per_level = Counter(difference["level"] for difference in report["differences"])
    levels = {**report["checked"], **per_level}
    print_table(
        [Column("level"), Column("compared", right=True), Column("differences", right=True)],
        [(level, report["checked"].get(level, ""), per_level[level]) for level in levels],
    )
    print("\n".join(_details(report)))


def _details(report: dict[str, Any]) -> list[str]:
    lines = []
    if report["joined_calls"]:
        lines.append(f"calls that several spans report, each counted once: {report['joined_calls']}")
    if report["anomaly_count"]:
        lines += _anomalies(report)
    lines += [_difference(d) for d in report["differences"][:_SHOWN]]
    if report["difference_count"] > _SHOWN:
        lines.append(f"… and {report['difference_count'] - _SHOWN} more; --json lists them")
    if report["skipped_traces"]:
        lines.append(f"{report['skipped_traces']} traces were not compared further down: their spans differ")
    for level, count in report["repaired"].items():
        lines.append(f"repaired {level}: {count} entries posted")
    return [*lines, _verdict(report)]


def _anomalies(report: dict[str, Any]) -> list[str]:
    """The most frequent ones; they are odd, not out of balance."""
    shown = list(report["anomalies"].items())[:_KINDS]
    more = len(report["anomalies"]) - len(shown)
    named = ", ".join(f"{name} {count}" for name, count in shown) + (f" and {more} other kinds" if more else "")
    return [
        f"{report['anomaly_count']} anomalies in what was sent: {named}",
        '  spanledger sql "SELECT * FROM anomalies" lists them with their reasons',
    ]


def _difference(difference: dict[str, Any]) -> str:
    key = " ".join(f"{name}={value}" for name, value in difference["key"].items() if value not in ("", None))
    amounts = " ".join(f"{name}={value}" for name, value in difference["amounts"].items())
    return f"  {difference['level']}: {difference['note'] or 'differs'}: {amounts} | {key}"


def _verdict(report: dict[str, Any]) -> str:
    if report["balanced"]:
        return "balanced"
    count = report["difference_count"]
    if report["repaired"]:
        after = "balanced" if report["balanced_after_repair"] else "STILL NOT balanced; run audit again"
        return f"{count} differences, repaired; audited again: {after}"
    return f"NOT balanced: {count} differences; --repair posts them"
