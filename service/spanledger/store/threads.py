"""How many threads ClickHouse uses for a statement: for few rows one thread answers sooner than several."""

from collections.abc import Collection

FEW_TRACES = 20
ALONE = {"max_threads": 1}  # settings of a statement that reads few rows


def threads_for(traces: Collection[str]) -> dict[str, int]:
    """Settings of a statement about these traces."""
    return ALONE if len(traces) <= FEW_TRACES else {}
