"""Plain traces: their calls and message are computed from columns alone. Most traces are plain.

A trace is plain when each call has one telling, or a second one in an ancestor span that does not contradict it; when
nothing in it failed, was estimated or came from a cache; when no other trace can hold a copy of its calls; and when its
spans belong to one message. All other traces go through nested.py, tellings.py, copies.py and messages.py. The code
here implements the same rules for the plain case; a test compares both implementations.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.calls import CALL_ROLES, USAGE
from spanledger.books.copies import TOLERANCE_NS, WITHOUT_ID
from spanledger.books.forest import Bools, Ints, codes, objects, one_chunk
from spanledger.books.inheritance import Context, as_mask
from spanledger.dialects.tables import OWN_SCOPE

_NONE = np.iinfo(np.int64).min  # an unknown count
_TEXTS = ("provider", "request_model", "response_model", "response_id", "service_tier")


@dataclass(frozen=True)
class Chains:
    """Provider calls of plain traces, one a row: `leaf` stands for it, `outer` (or −1) repeats it."""

    leaf: Ints
    outer: Ints
    trace: Ints  # its number in the forest
    start_ns: Ints
    end_ns: Ints
    error: Bools
    texts: dict[str, Any]  # name → object array
    usage: dict[str, Ints]  # `_NONE` where unknown
    claim: Any  # rows of cost_claim_usd; −1: none
    by_provider: Bools  # whether the claim is the provider's

    def some(self, mask: Bools) -> "Chains":
        return Chains(
            self.leaf[mask],
            self.outer[mask],
            self.trace[mask],
            self.start_ns[mask],
            self.end_ns[mask],
            self.error[mask],
            {name: values[mask] for name, values in self.texts.items()},
            {name: values[mask] for name, values in self.usage.items()},
            self.claim[mask],
            self.by_provider[mask],
        )

    def by_tokens(self, plain: "Plain") -> dict[tuple[Any, ...], list[tuple[int, int]]]:
        """When calls began and ended, by tenant, service and tokens."""
        rows = pa.array(self.leaf)
        keys = [objects(plain.table[name].take(rows)).tolist() for name in ("tenant", "service")]
        keys += [self.count(name).tolist() for name in ("input_tokens", "output_tokens")]
        found: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
        for *key, start, end in zip(*keys, self.start_ns.tolist(), self.end_ns.tolist(), strict=True):
            found.setdefault(tuple(key), []).append((start, end))
        return found

    def known(self, name: str) -> Bools:
        known: Bools = self.usage[name] != _NONE
        return known

    def count(self, name: str) -> Ints:
        """Unknown counts as zero."""
        return np.where(self.known(name), self.usage[name], 0)


class Plain:
    """Which traces are plain, and the calls of those. `odd`: per trace whether it is not."""

    def __init__(self, table: pa.Table, context: Context, candidate: Bools) -> None:
        self.table = table
        self.context = context
        self.forest = context.forest
        self.trace = self.forest.trace
        self.odd: Bools = np.zeros(int(self.trace.max()) + 1, np.bool_)
        self._columns: dict[str, Any] = {}
        self.start = self._ints("started_at_ns")
        self.end = self.start + self._ints("duration_ns")
        self.rows: Ints = np.flatnonzero(candidate)
        self._leave(self.forest.cut)
        chains = self._chains(candidate)
        self._leave_copies(chains)
        self._leave_messages()
        self.chains = chains.some(~self.odd[chains.trace])

    def _leave(self, rows: Ints) -> None:
        """These rows' traces are not plain."""
        self.odd[self.trace[rows]] = True

    def _ints(self, name: str) -> Ints:
        values: Ints = one_chunk(pc.fill_null(self.table[name].cast(pa.int64()), _NONE)).to_numpy(zero_copy_only=False)
        return values.astype(np.int64)

    def codes(self, name: str) -> tuple[Ints, list[Any]]:
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = codes(self.table[name])
        return found

    def is_one_of(self, name: str, *words: str) -> Bools:
        """Per row whether the column has one of these values."""
        numbers, values = self.codes(name)
        wanted = np.array([value in words for value in values] or [False])
        mask: Bools = wanted[numbers]
        return mask

    def _chains(self, candidate: Bools) -> Chains:
        above = self.forest.nearest_above(candidate)
        rows = self.rows
        inner = np.bincount(above[rows][above[rows] >= 0], minlength=len(self.trace))
        self._leave(np.flatnonzero(inner > 1))
        nested = rows[above[rows] >= 0]
        self._leave(nested[above[above[nested]] >= 0])
        leaf = rows[inner[rows] == 0]
        leaf = leaf[~self.odd[self.trace[leaf]]]
        chains = self._joined(leaf, above[leaf])
        return chains.some(~self.odd[chains.trace])

    def _joined(self, leaf: Ints, outer: Ints) -> Chains:
        """As `calls.absorb` joins what is not left out here."""
        has = outer >= 0
        top = np.where(has, outer, leaf)
        is_call = self.is_one_of("role", *CALL_ROLES)
        role = self.codes("role")[0]
        counts = {name: self._ints(name) for name in USAGE}
        tokens_in, tokens_out = counts["input_tokens"], counts["output_tokens"]
        measured = (tokens_in != _NONE) | (tokens_out != _NONE)
        odd = ~is_call[leaf] | (is_call[top] & (role[top] != role[leaf]))
        failed = self.is_one_of("status", "error")
        odd |= ~(measured[leaf] | measured[top]) | (failed[leaf] & ~measured[leaf])
        number = self._ints("told_calls")
        several = (number != 1) & (number != _NONE)
        for strange in (self._ints("usage_estimated") != 0, self.is_one_of("response_cache", "hit"), several):
            odd |= strange[leaf] | strange[top]
        both = measured[leaf] & measured[top]
        for figure in (tokens_in, tokens_out):
            odd |= both & (figure[leaf] != figure[top]) & (figure[leaf] != _NONE) & (figure[top] != _NONE)
        odd |= has & self._contradict(leaf, top) | (self.start[leaf] == self.end[leaf])
        self._leave(leaf[odd])
        usage = {}
        for name, figure in counts.items():
            filled = np.where(both & (figure[leaf] == _NONE), figure[top], figure[leaf])
            usage[name] = np.where(measured[leaf], filled, figure[top])
        claimed = as_mask(pc.is_valid(self.table["cost_claim_usd"]))
        by_provider = self.is_one_of("cost_claim_source", "provider")
        better = claimed[top] & (~claimed[leaf] | (by_provider[top] & ~by_provider[leaf]))
        claim = np.where(better, top, np.where(claimed[leaf], leaf, -1))
        return Chains(
            leaf,
            outer,
            self.trace[leaf],
            np.minimum(self.start[leaf], self.start[top]),
            np.maximum(self.end[leaf], self.end[top]),
            failed[leaf] & failed[top],
            {name: self._first(name, leaf, top) for name in _TEXTS},
            usage,
            claim,
            (claim >= 0) & by_provider[claim],
        )

    def _contradict(self, leaf: Ints, top: Ints) -> Bools:
        """Whether two tellings need the rules of tellings.py: one is our own service's, both claim a cost, they differ
        in a name, or only the outer one knows the owner."""
        is_own = self.is_own()
        odd: Bools = is_own[leaf] | is_own[top]
        claimed = as_mask(pc.is_valid(self.table["cost_claim_usd"]))
        odd |= claimed[leaf] & claimed[top]
        for name in _TEXTS:
            numbers, values = self.codes(name)
            empty = np.array([value == "" for value in values] or [False])
            odd |= (numbers[leaf] != numbers[top]) & ~empty[numbers[leaf]] & ~empty[numbers[top]]
        for name in ("conversation_id", "user_id"):
            texts = self.context.values[name]
            odd |= (texts[leaf] == "") & (texts[top] != "")  # otherwise the inner span represents the call
        return odd

    def is_own(self) -> Bools:
        """Per row whether our own service's instrumentation wrote it."""
        numbers, values = self.codes("scope")
        own = np.array([value.startswith(OWN_SCOPE) for value in values] or [False])
        mask: Bools = own[numbers]
        return mask

    def _first(self, name: str, leaf: Ints, top: Ints) -> Any:
        numbers, values = self.codes(name)
        texts = np.array([*values, ""], dtype=object)
        empty = np.array([value == "" for value in values] or [False])
        return texts[np.where(empty[numbers[leaf]], numbers[top], numbers[leaf])]

    def _leave_copies(self, chains: Chains) -> None:
        """Excludes calls that copies.py might join."""
        unit = np.arange(len(self.trace))
        unit[chains.outer[chains.outer >= 0]] = chains.leaf[chains.outer >= 0]
        tenant, service = self.codes("tenant")[0], self.codes("service")[0]
        identity, values = self.codes("response_id")
        rows = self.rows
        named = rows[~np.array([value == "" for value in values] or [True])[identity[rows]]]
        self._leave_shared([tenant[named], identity[named]], unit[named], named)
        start, end = self.start.copy(), self.end.copy()
        counts = [np.maximum(self._ints(name), 0) for name in ("input_tokens", "output_tokens")]
        own, other = self.codes("scope")[0].astype(np.int64), np.full(len(unit), -1)
        with_outer = chains.some(chains.outer >= 0)
        for row in (chains.leaf, np.where(chains.outer >= 0, chains.outer, chains.leaf)):
            start[row], end[row] = chains.start_ns, chains.end_ns
            for column, name in zip(counts, ("input_tokens", "output_tokens"), strict=True):
                column[row] = chains.count(name)
        pair = np.sort(np.stack([own[with_outer.leaf], own[with_outer.outer]]), axis=0)
        for row in (with_outer.leaf, with_outer.outer):
            own[row], other[row] = pair
        scopes = own * (len(self.codes("scope")[1]) + 1) + other
        nameless = self.is_one_of("role", *WITHOUT_ID)
        if (nameless & self.is_own())[rows].any():
            self._leave(rows[nameless[rows]])
        # Embeddings may be told of by a gateway too, which is another service.
        without_id = rows[nameless[rows]]
        self._leave_alike(without_id, [tenant[without_id], counts[0][without_id]], start, end, unit, scopes)
        self._leave_alike(rows, [tenant[rows], service[rows], *(c[rows] for c in counts)], start, end, unit, scopes)
        self._leave_conversations(chains)

    def _leave_shared(self, keys: list[Ints], unit: Ints, rows: Ints) -> None:
        """Leaves out rows of different units with the same keys."""
        group = _groups(keys)
        lowest, highest = _extremes(group, unit)
        self._leave(rows[lowest[group] != highest[group]])

    def _leave_alike(self, rows: Ints, keys: list[Ints], start: Ints, end: Ints, unit: Ints, scopes: Ints) -> None:
        """Excludes those of the rows with equal keys at the same time from different instrumentations."""
        if not len(rows):
            return
        group = _groups(keys)
        order = np.lexsort((start[rows], group))
        sorted_group, since = group[order], start[rows][order]
        until = end[rows][order] + TOLERANCE_NS
        latest = _running_maximum(until, sorted_group)
        is_new = np.ones(len(order), np.bool_)
        is_new[1:] = (sorted_group[1:] != sorted_group[:-1]) | (since[1:] > latest[:-1])
        cluster = np.cumsum(is_new) - 1
        ordered = rows[order]
        differ = []
        for values in (unit[ordered], scopes[ordered]):
            lowest, highest = _extremes(cluster, values)
            differ.append((lowest != highest)[cluster])
        self._leave(ordered[differ[0] & differ[1]])

    def _leave_conversations(self, chains: Chains) -> None:
        """Excludes conversations that have a call without token counts: another call may be its second telling."""
        measured = (self._ints("input_tokens") != _NONE) | (self._ints("output_tokens") != _NONE)
        silent = np.zeros(len(self.odd), np.bool_)
        alone = np.ones(len(self.trace), np.bool_)
        alone[chains.leaf] = alone[chains.outer[chains.outer >= 0]] = False
        silent[self.trace[self.rows[(alone & ~measured)[self.rows]]]] = True
        if not silent.any():
            return
        conversations = self.context.values["conversation_id"]
        silent_conversations = {
            text for row in self.rows[silent[self.trace[self.rows]]].tolist() if (text := conversations[row])
        }
        if silent_conversations:
            self._leave(
                np.array([row for row in self.rows.tolist() if conversations[row] in silent_conversations], np.int64)
            )

    def _leave_messages(self) -> None:
        """Leaves out traces of several messages, and those that share one."""
        tenant = self.codes("tenant")[0]
        message = _numbers(self.context.values["message_id"])
        group = _groups([tenant, message])
        lowest, highest = _extremes(group, self.trace)
        self.odd[self.trace[lowest[group] != highest[group]]] = True
        for values in (group, self._conversation_numbers()):
            known = values >= 0
            lowest, highest = _extremes(self.trace[known], values[known], len(self.odd))
            self.odd |= (lowest != highest) & (highest >= 0)

    def _conversation_numbers(self) -> Ints:
        values = self.context.values["conversation_id"]
        return np.where(values == "", -1, _numbers(values))


def _numbers(values: Any) -> Ints:
    return codes(pa.array(values, pa.string()))[0]


def _groups(keys: list[Ints]) -> Ints:
    """Numbers of equal combinations of keys, from 0."""
    total = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        found, numbers = np.unique(key, return_inverse=True)
        total = np.unique(total * (len(found) + 1) + numbers, return_inverse=True)[1]
    return total.astype(np.int64)


def _extremes(group: Ints, values: Ints, size: int = 0) -> tuple[Ints, Ints]:
    """Lowest and highest value of each group; where a group has none, highest is −1."""
    size = max(size, int(group.max()) + 1 if len(group) else 0)
    lowest, highest = np.full(size, np.iinfo(np.int64).max), np.full(size, -1, np.int64)
    np.minimum.at(lowest, group, values)
    np.maximum.at(highest, group, values)
    return lowest, highest


def _running_maximum(values: Ints, group: Ints) -> Ints:
    """The highest value so far within each group; the groups are contiguous and rise."""
    if not len(values):
        return values
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    highest = np.maximum.accumulate(rank + group * len(values)) - group * len(values)
    ordered: Ints = np.sort(values, kind="stable")[highest]
    return ordered
