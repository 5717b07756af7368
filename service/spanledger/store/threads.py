"""How many threads of the engine a question gets: one reads few rows sooner than several share them out."""

from collections.abc import Collection

FEW_TRACES = 20
ALONE = {"max_threads": 1}  # settings of a question about few rows: a third of the time


def threads_for(traces: Collection[str]) -> dict[str, int]:
    """Settings of a question about these traces."""
    return ALONE if len(traces) <= FEW_TRACES else {}
