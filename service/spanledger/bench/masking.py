"""What masking at the door costs a span: on varied and on recorded traffic, for no rule, each rule and all of them."""

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spanledger.bench import recorded, steps, varied
from spanledger.ingest.masking import BUILT_IN, Masking, rules_of
from spanledger.ingest.signals import TRACES

_SPANS = 2_000


def run() -> dict[str, Any]:
    """Microseconds of CPU a span on one thread, and how many texts each set of rules masked."""
    sources: dict[str, list[tuple[bytes, int]]] = {"varied": list(varied.bodies(_SPANS))}
    with contextlib.suppress(FileNotFoundError):  # no checkout
        sources["recorded"] = list(recorded.bodies(_SPANS))
    rules: dict[str, dict[str, str]] = {"known keys alone": {}}
    rules |= {name: {name: "hash"} for name in BUILT_IN}
    rules |= {"all, hash": dict.fromkeys(BUILT_IN, "hash"), "all, drop": dict.fromkeys(BUILT_IN, "drop")}
    return {
        source: {
            "bytes_per_span": _size(bodies),
            **{name: _cost(bodies, one) for name, one in steps.counted(f"{source} traffic", rules.items(), "rules")},
        }
        for source, bodies in sources.items()
    }


def _size(bodies: Sequence[tuple[bytes, int]]) -> int:
    return sum(len(body) for body, _ in bodies) // sum(spans for _, spans in bodies)


def _cost(bodies: Sequence[tuple[bytes, int]], built_in: dict[str, str]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        masking = Masking(rules_of(built_in, ""), Path(folder))
        started = time.thread_time()
        for body, _ in bodies:
            masking.mask(TRACES, body, counts)
        spent = time.thread_time() - started
    return {"us_per_span": round(spent / sum(spans for _, spans in bodies) * 1e6, 2), "masked": counts.total()}
