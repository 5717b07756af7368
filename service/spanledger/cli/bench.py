"""`spanledger bench`: the benchmarks, each on a data folder of its own."""

import argparse
import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from spanledger.errors import SettingsError

DESCRIPTION = "Measures this machine, on data of its own that is thrown away afterwards; your data is not touched."
EXAMPLES = """\
examples:
  spanledger bench overhead
  spanledger bench ledger --json > ledger.json
  spanledger bench soak --minutes 5 --spans-per-s 5000
  spanledger bench ingest --roles ingest,settle,api              the embedded Collector alone
"""
_BENCHMARKS = {
    "ingest": "spans per second from acknowledged to readable",
    "query": "latency of the API's questions over much history",
    "web": "the console's pages over much history: first byte, and usable in Chromium",
    "overhead": "what emission costs an LLM call",
    "live": "freshness: from an answer to its figures, and from an event to 200 readers",
    "ledger": "settlement, its lag, history and re-pricing",
    "idle": "what an `up` costs that receives nothing, and what its first message takes",
    "soak": "memory of every process under an even load; exit code 1 when it is not flat",
}

_TAKES = {
    "idle": ("minutes",),
    "soak": ("minutes", "spans_per_s", "roles"),
    "ingest": ("roles",),
    "ledger": ("captures",),
}
_FLAGS = sorted({name for names in _TAKES.values() for name in names})


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    names = [name for name in _BENCHMARKS if importlib.util.find_spec(f"spanledger.bench.{name}") is not None]
    meaning = "; ".join(f"{name}: {_BENCHMARKS[name]}" for name in names)
    parser.add_argument("benchmark", choices=names, metavar="|".join(names), help=meaning)
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="how long `soak` (default 20) or `idle` (default 10) runs"
    )
    parser.add_argument(
        "--spans-per-s",
        type=float,
        metavar="N",
        help="the load of `soak` (default 10000: half of what two cores store and settle)",
    )
    parser.add_argument(
        "--captures",
        type=Path,
        metavar="PATH",
        help="recorded traffic for `ledger`: a folder or .tar.xz of bodies and truth files (default: the checkout's)",
    )
    parser.add_argument(
        "--roles",
        metavar="R,…",
        help="of the `up` that `ingest` and `soak` start, for example ingest,settle,api: without a chat service",
    )


def run(options: argparse.Namespace) -> int:
    given = {name: value for name in _FLAGS if (value := getattr(options, name)) is not None}
    if unfit := [name for name in given if name not in _TAKES.get(options.benchmark, ())]:
        raise SettingsError(f"bench {options.benchmark} takes no --{unfit[0].replace('_', '-')}")
    figures: dict[str, Any] = importlib.import_module(f"spanledger.bench.{options.benchmark}").run(**given)
    if options.json:
        print(json.dumps(figures))
    else:
        print("\n".join(_lines(figures)))
    return 0 if figures.get("flat", True) else 1


def _lines(figures: dict[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name:32} {value}")
    return lines
