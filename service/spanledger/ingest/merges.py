"""Pauses merges of the embedded engine while the spool grows, so that loading goes first.

A merge costs about as much as half a load, and a merge of many parts costs no more than one of a few. So while more
data arrives than is loaded, the tables of traces are not merged, for a number of loads that keeps every table far below
the 1,000 parts at which ClickHouse slows inserts down. A server has memory, cores and rules of its own: its merges are
left alone."""

from spanledger.store.client import Store

_TABLES = ("otel_traces", "genai_spans", "call_keys", "settle_queue")
_MOST_LOADS = 150


class Merges:
    """Not thread-safe: for the thread that loads. Merges stopped here run again in the next process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stopped = False
        self._loads = 0

    def after_load(self, flooded: bool) -> None:
        """Stops or starts them, as `flooded` says whether more is waiting. Raises StoreError."""
        self._loads = self._loads + 1 if flooded else 0
        stop = flooded and self._loads <= _MOST_LOADS and self._store.embedded
        if stop != self._stopped:
            for table in _TABLES:
                self._store.command(f"SYSTEM {'STOP' if stop else 'START'} MERGES {table}")
            self._stopped = stop
