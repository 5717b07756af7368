"""Pairs of traces that were joined because they report the same call. When one changes, the other is settled again.

A span can arrive again with other values, for example another response id or none. Its earlier row is then replaced,
and with it the key that joined it to another trace. Therefore the pair itself is stored, in both directions, as rows of
call_keys with a key kind of their own.
"""

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from spanledger.books import copy_keys
from spanledger.books.forest import Ints
from spanledger.ledger.copy_lookup import NAMES, Trace
from spanledger.store.client import Store
from spanledger.store.threads import ALONE

_COLUMNS = ("tenant", "key", "trace", "trace_id", "scope", "start_ms", "duration_ms")
_LINKED = """
SELECT DISTINCT tenant, trace FROM {shards:Identifier}.call_keys
WHERE tenant IN {tenants:Array(String)} AND key IN {keys:Array(UInt64)}
"""


def keep(store: Store, pairs: Collection[tuple[str, str, str]], shards: str) -> None:
    """Writes pairs down (tenant and two trace ids); those that are there already make no difference."""
    if not pairs:
        return
    tenants, ones, others = zip(*sorted(pairs), strict=True)
    first, second = (copy_keys.of_traces(pa.array(ids, pa.string())).tolist() for ids in (ones, others))
    both = {*zip(tenants, first, second, strict=True), *zip(tenants, second, first, strict=True)}
    rows = [[tenant, copy_keys.of_links(one), other, "", "", 0, 0] for tenant, one, other in sorted(both)]
    store.insert(f"{shards or store.database}.call_keys", _COLUMNS, rows)


def linked(store: Store, traces: Collection[Trace], beside: Collection[Trace]) -> set[Trace]:
    """The traces that any of `traces` was settled together with before, without these and those `beside` them."""
    tenants = sorted({tenant for tenant, _ in traces})
    keys = sorted({copy_keys.of_links(number) for number in _numbers(traces).tolist()})
    parameters = {"shards": store.all_shards, "tenants": tenants, "keys": keys}
    others = set(store.query(_LINKED, parameters, settings=ALONE))
    if others:
        others -= _among({*traces, *beside}, others)
    if not others:
        return set()
    parameters["keys"] = sorted({copy_keys.of_trace(number) for _, number in others})
    named = store.query(NAMES, parameters, settings=ALONE)
    return {(tenant, trace_id) for tenant, number, trace_id in named if (tenant, number) in others}


def _numbers(traces: Collection[Trace]) -> Ints:
    """The hashes of their ids, in their order."""
    return copy_keys.of_traces(pa.array([trace_id for _, trace_id in traces], pa.string()))


def _among(traces: Collection[Trace], others: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those of `others` (tenant and hash) that may be one of the traces."""
    ordered = list(traces)
    numbers = _numbers(ordered)
    shared = np.flatnonzero(np.isin(numbers, np.array([number for _, number in others], np.int64)))
    return {(ordered[place][0], int(numbers[place])) for place in shared.tolist()} & others
