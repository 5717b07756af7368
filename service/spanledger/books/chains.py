"""Plain traces: their calls and message are computed from columns alone. Most traces are plain.

A trace is plain when each call has one telling, or a second one in an ancestor span that does not contradict it; when
nothing in it was estimated or came from a cache; when no other trace can hold a copy of its calls; and when its spans
belong to one message. All other traces go through nested.py, tellings.py, copies.py and messages.py. The code
here implements the same rules for the plain case; a test compares both implementations.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.calls import CALL_ROLES, FETCH, USAGE, WITHOUT_ID
from spanledger.books.copies import TOLERANCE_NS
from spanledger.books.forest import Bools, Ints, Texts, codes, objects, one_chunk
from spanledger.books.grouping import extremes, groups, numbers, running_maximum
from spanledger.books.inheritance import Context, as_mask
from spanledger.books.tellings import model_rank
from spanledger.books.tools import behind_tools
from spanledger.dialects.tables import OWN_SCOPE

_NONE = np.iinfo(np.int64).min  # an unknown count
_MOST_NESTED = 20  # spans of calls inside each other
_MODELS = ("request_model", "response_model")
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
    failed: Bools  # ended in an error, without usage: not served
    two_models: Bools  # its spans name different served models

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
            self.failed[mask],
            self.two_models[mask],
        )

    def by_tokens(self, plain: "Plain") -> dict[tuple[Any, ...], list[tuple[int, int]]]:
        """When measured calls began and ended, by tenant, service and tokens."""
        measured = self.some(self.measured)
        rows = pa.array(measured.leaf)
        keys = [objects(plain.table[name].take(rows)).tolist() for name in ("tenant", "service")]
        keys += [measured.count(name).tolist() for name in ("input_tokens", "output_tokens")]
        found: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
        for *key, start, end in zip(*keys, measured.start_ns.tolist(), measured.end_ns.tolist(), strict=True):
            found.setdefault(tuple(key), []).append((start, end))
        return found

    @property
    def measured(self) -> Bools:
        """Whether the call's usage is known."""
        return self.known("input_tokens") | self.known("output_tokens")

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
        self._leave(self.rows[self.is_one_of("operation", FETCH)[self.rows]])
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
        leaf = rows[inner[rows] == 0]
        self._leave(behind_tools(self.table, self.forest, candidate))
        self._leave(rows[(self.is_one_of("role", "tool") & (inner > 0))[rows]])
        is_sum = self._sums(leaf, above)
        self._leave_answers(rows, leaf, above)
        above = np.where((above >= 0) & is_sum[above], -1, above)
        nested = rows[above[rows] >= 0]
        self._leave(nested[above[above[nested]] >= 0])
        leaf = leaf[~self.odd[self.trace[leaf]]]
        chains = self._joined(leaf, above[leaf])
        self._leave_sums(chains, rows[is_sum[rows]])
        is_sum &= ~self.odd[self.trace]
        self.rows, self.sums = rows[~is_sum[rows]], rows[is_sum[rows]]
        return chains.some(~self.odd[chains.trace])

    def _sums(self, leaf: Ints, above: Ints) -> Bools:
        """Per row whether it stands above several calls. Excludes traces in which calls are nested too deeply."""
        return self._below(leaf, above) > 1

    def _below(self, leaf: Ints, above: Ints) -> Ints:
        """Per row how many of these leaves stand below it."""
        below = np.zeros(len(self.trace), np.int64)
        row = above[leaf]
        for _ in range(_MOST_NESTED):
            row = row[row >= 0]
            np.add.at(below, row, 1)
            row = above[row]
        self._leave(row[row >= 0])
        return below

    def _leave_answers(self, rows: Ints, leaf: Ints, above: Ints) -> None:
        """Excludes traces with a span that reports an output above calls none of which has one, as embeddings."""
        answers = leaf[~self.is_one_of("role", *WITHOUT_ID)[leaf] & ~self.is_one_of("status", "error")[leaf]]
        has_output = self._ints("output_tokens") > 0
        lone = rows[(has_output & (self._below(leaf, above) > 0) & (self._below(answers, above) == 0))[rows]]
        self._leave(lone)

    def _leave_sums(self, chains: Chains, sums: Ints) -> None:
        """Excludes traces with a span above several calls, unless it adds nothing to them: it is no call of its own."""
        is_call = self.is_one_of("role", *CALL_ROLES)
        self._leave(sums[self.is_own()[sums] & is_call[sums]])
        has_sum = np.zeros(len(self.odd), np.bool_)
        has_sum[self.trace[sums]] = True
        nameless = (chains.texts["request_model"] == "") & (chains.texts["response_model"] == "")
        self._leave(chains.leaf[has_sum[chains.trace] & (nameless | ~chains.measured)])
        calls = sums[is_call[sums]]
        both = np.concatenate([calls, chains.leaf])
        lowest, highest = extremes(self.trace[both], self.codes("role")[0][both], len(self.odd))
        self._leave(calls[lowest[self.trace[calls]] != highest[self.trace[calls]]])

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
        silent = ~(measured[leaf] | measured[top])
        detailed = np.any([figure != _NONE for figure in counts.values()], axis=0)
        odd |= silent & (detailed[leaf] | detailed[top])
        odd |= has & failed[leaf] & ~measured[leaf]  # another attempt may have served what the outer span tells of
        odd |= has & silent & failed[top]
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
            usage[name] = np.where(measured[leaf] | silent, filled, figure[top])
        claimed = as_mask(pc.is_valid(self.table["cost_claim_usd"]))
        by_provider = self.is_one_of("cost_claim_source", "provider")
        better = claimed[top] & (~claimed[leaf] | (by_provider[top] & ~by_provider[leaf]))
        claim = np.where(better, top, np.where(claimed[leaf], leaf, -1))
        free = as_mask(pc.equal(pc.fill_null(self.table["cost_claim_usd"], 0), 0))
        error = failed[leaf] & failed[top]
        texts = {name: self._first(name, leaf, top) for name in _TEXTS}
        two_models = has & self._differ("response_model", leaf, top)
        texts["response_model"][two_models] = self._served(leaf[two_models], top[two_models])
        return Chains(
            leaf,
            outer,
            self.trace[leaf],
            np.minimum(self.start[leaf], self.start[top]),
            np.maximum(self.end[leaf], self.end[top]),
            error,
            texts,
            usage,
            claim,
            (claim >= 0) & by_provider[claim],
            error & silent & free[leaf] & ~self.is_one_of("finish_reason", "aborted")[leaf],
            two_models,
        )

    def _contradict(self, leaf: Ints, top: Ints) -> Bools:
        """Whether two tellings need the rules of tellings.py: one is our own service's, both claim a cost, they differ
        in a name, or only the outer one names the owner."""
        is_own = self.is_own()
        odd: Bools = is_own[leaf] | is_own[top]
        claimed = as_mask(pc.is_valid(self.table["cost_claim_usd"]))
        odd |= claimed[leaf] & claimed[top]
        for name in _TEXTS:
            if name != "response_model":  # see _served
                odd |= self._differ(name, leaf, top)
        for name in ("conversation_id", "user_id"):
            texts = self.context.values[name]
            odd |= (texts[leaf] == "") & (texts[top] != "")  # otherwise the inner span represents the call
        return odd

    def _differ(self, name: str, leaf: Ints, top: Ints) -> Bools:
        """Whether the two spans of a call name different values."""
        number, values = self.codes(name)
        empty = np.array([value == "" for value in values] or [False])
        differ: Bools = (number[leaf] != number[top]) & ~empty[number[leaf]] & ~empty[number[top]]
        return differ

    def _served(self, leaf: Ints, top: Ints) -> Texts:
        """The served model of calls whose two spans name different ones."""
        known: dict[tuple[tuple[str, str], ...], str] = {}
        columns = (objects(self.table[name].take(pa.array(rows))) for rows in (leaf, top) for name in _MODELS)
        found = np.full(len(leaf), "", dtype=object)
        for place, (requested, served, outer_requested, outer_served) in enumerate(zip(*columns, strict=True)):
            pairs = ((requested, served), (outer_requested, outer_served))
            if pairs not in known:
                known[pairs] = min(pairs, key=lambda pair: model_rank(*pair))[1]
            found[place] = known[pairs]
        return found

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
        rows = np.concatenate([self.rows, self.sums])
        named = rows[~np.array([value == "" for value in values] or [True])[identity[rows]]]
        self._leave_shared([tenant[named], identity[named]], unit[named], named)
        rows = self.rows
        start, end = self.start.copy(), self.end.copy()
        counts = [np.maximum(self._ints(name), 0) for name in ("input_tokens", "output_tokens")]
        own, other = self.codes("scope")[0].astype(np.int64), np.full(len(unit), -1)
        with_outer = chains.some(chains.outer >= 0)
        silent = np.zeros(len(unit), np.bool_)
        for row in (chains.leaf, np.where(chains.outer >= 0, chains.outer, chains.leaf)):
            silent[row] = ~chains.measured
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
        self._leave_results(rows[silent[rows]])
        self._leave_silent(chains, unit, scopes)
        rows = rows[~silent[rows]]
        # A gateway may report embeddings too, which is another service.
        without_id = rows[nameless[rows]]
        self._leave_alike(without_id, [tenant[without_id], counts[0][without_id]], start, end, unit, scopes)
        self._leave_alike(rows, [tenant[rows], service[rows], *(c[rows] for c in counts)], start, end, unit, scopes)

    def _leave_shared(self, keys: list[Ints], unit: Ints, rows: Ints) -> None:
        """Leaves out rows of different units with the same keys."""
        group = groups(keys)
        lowest, highest = extremes(group, unit)
        self._leave(rows[lowest[group] != highest[group]])

    def _leave_alike(self, rows: Ints, keys: list[Ints], start: Ints, end: Ints, unit: Ints, scopes: Ints) -> None:
        """Excludes those of the rows with equal keys at the same time from different instrumentations."""
        if not len(rows):
            return
        group = groups(keys)
        order = np.lexsort((start[rows], group))
        sorted_group, since = group[order], start[rows][order]
        until = end[rows][order] + TOLERANCE_NS
        latest = running_maximum(until, sorted_group)
        is_new = np.ones(len(order), np.bool_)
        is_new[1:] = (sorted_group[1:] != sorted_group[:-1]) | (since[1:] > latest[:-1])
        cluster = np.cumsum(is_new) - 1
        ordered = rows[order]
        differ = []
        for values in (unit[ordered], scopes[ordered]):
            lowest, highest = extremes(cluster, values)
            differ.append((lowest != highest)[cluster])
        self._leave(ordered[differ[0] & differ[1]])

    def _leave_results(self, silent: Ints) -> None:
        """Excludes calls without usage where a span of no length of their service may report the result."""
        rows = self.rows
        moments = rows[self.start[rows] == self.end[rows]]
        if not len(moments) or not len(silent):
            return
        both = np.concatenate([moments, silent])
        group = groups([self.codes(name)[0][both] for name in ("tenant", "service")])
        self._leave(silent[np.isin(group[len(moments) :], group[: len(moments)])])

    def _leave_silent(self, chains: Chains, unit: Ints, scopes: Ints) -> None:
        """Excludes traces and conversations with a call without token counts beside one of another instrumentation:
        that may be its second telling."""
        measured = (self._ints("input_tokens") != _NONE) | (self._ints("output_tokens") != _NONE)
        with_counts = chains.some(chains.measured)
        measured[with_counts.leaf] = measured[with_counts.outer[with_counts.outer >= 0]] = True
        silent = np.zeros(len(self.odd), np.bool_)
        silent[self.trace[self.rows[~measured[self.rows]]]] = True
        if not silent.any():
            return
        for values in (self.trace, self._conversation_numbers()):
            rows = self.rows[values[self.rows] >= 0]
            group = values[rows]
            has_silent = np.zeros(int(values.max()) + 1, np.bool_)
            has_silent[group[silent[self.trace[rows]]]] = True
            differ = has_silent[group]
            for compared in (unit[rows], scopes[rows]):
                lowest, highest = extremes(group, compared)
                differ &= (lowest != highest)[group]
            self._leave(rows[differ])

    def _leave_messages(self) -> None:
        """Leaves out traces of several messages, and those that share one."""
        tenant = self.codes("tenant")[0]
        message = numbers(self.context.values["message_id"])
        group = groups([tenant, message])
        lowest, highest = extremes(group, self.trace)
        self.odd[self.trace[lowest[group] != highest[group]]] = True
        for values in (group, self._conversation_numbers()):
            known = values >= 0
            lowest, highest = extremes(self.trace[known], values[known], len(self.odd))
            self.odd |= (lowest != highest) & (highest >= 0)

    def _conversation_numbers(self) -> Ints:
        values = self.context.values["conversation_id"]
        return np.where(values == "", -1, numbers(values))
