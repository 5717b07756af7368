"""`spanledger audit`: recomputes the books from the raw spans and compares them level by level."""

import sys
from typing import Annotated, Any

import typer

from spanledger.cli.common import existing, opened, running_api
from spanledger.cli.options import Json, Place, Since, Until, application, examples, with_place
from spanledger.cli.output import print_json, say

EXAMPLES = """\
  spanledger audit
  spanledger audit --from 2026-11-01 --to 2026-12-01T00:00:00Z --json
  spanledger audit --repair              post what is missing, and report it
"""
_SHOWN = 200
_WAIT_S = 30
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

    Exit code 0: balanced (with --repair: in the end), 1: not; every difference is listed.
    """
    report = _report(place, start, end, repair)
    balanced = report["balanced"]
    if report["repaired"]:
        balanced = report["balanced_after_repair"] = _report(place, start, end, False)["balanced"]
    if as_json:
        print_json(report)
    else:
        print(render(report))
    return 0 if balanced else 1


def _report(place: Place, start: str | None, end: str | None, repair: bool) -> dict[str, Any]:
    chosen = place.settings()
    api = running_api(chosen)
    if api is not None:
        wish = {"start": start, "end": end, "repair": repair}
        report: dict[str, Any] = api.post("/v1/audit", {**wish, "wait": _WAIT_S})
        while "balanced" not in report:
            _progress(f"{report['state']}: {report['progress']}")
            report = api.get("/v1/operations", report["operation_id"], wait=_WAIT_S)
        return report
    from spanledger.ledger.ledger import Ledger
    from spanledger.stats import times

    existing(chosen)
    window = times.window(start, end)
    with opened(chosen) as store:
        found = Ledger(store, chosen).audit(times.moment(window.start), times.moment(window.end), repair, say=_progress)
        return found.as_dict()


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        say(text)


def render(report: dict[str, Any]) -> str:
    """A table of the levels, then every difference."""
    window = f"{report['from'] or 'the beginning'} to {report['to'] or 'now'}"
    per_level: dict[str, int] = {}
    for difference in report["differences"]:
        per_level[difference["level"]] = per_level.get(difference["level"], 0) + 1
    lines = [f"audit of {window}", f"  {'level':22} {'compared':>12} {'differences':>12}"]
    for level in {**report["checked"], **per_level}:
        compared = report["checked"].get(level, "")
        lines.append(f"  {level:22} {compared:>12} {per_level.get(level, 0):>12}")
    if report["joined_calls"]:
        lines.append(f"{report['joined_calls']} calls were told of more than once and counted once")
    if report["anomaly_count"]:
        lines += _anomalies(report)
    lines += [_difference(d) for d in report["differences"][:_SHOWN]]
    if report["difference_count"] > _SHOWN:
        lines.append(f"… and {report['difference_count'] - _SHOWN} more; --json lists them")
    if report["skipped_traces"]:
        lines.append(f"{report['skipped_traces']} traces were not compared further down: their spans differ")
    for level, count in report["repaired"].items():
        lines.append(f"repaired {level}: {count} entries posted")
    lines.append(_verdict(report))
    return "\n".join(lines)


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
