"""The lines and messages of plain traces (chains.py), a column at a time."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.books.anomalies import Anomaly, of_flag
from spanledger.books.chains import Chains, Plain
from spanledger.books.costs import Prices, Sort
from spanledger.books.entries import LINES, MEASURES, MONEY
from spanledger.books.forest import Bools, Ints, Texts, codes, objects
from spanledger.books.messages import MESSAGES, SINGLE
from spanledger.books.tools import executions
from spanledger.pricing.cost import cost_without_usage
from spanledger.pricing.many import Counts, costs

_DIMS = ("message_id", "workflow", "agent", "tool", "prompt", "prompt_version", "variant")
_PARTS = {
    "cache_read": "cache_read_input_tokens",
    "cache_write_1h": "cache_write_1h_input_tokens",
    "audio_input": "audio_input_tokens",
    "image_input": "image_input_tokens",
    "reasoning": "reasoning_output_tokens",
    "audio_output": "audio_output_tokens",
    "image_output": "image_output_tokens",
}
_COUNTED = (
    *("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "output_tokens"),
    "reasoning_output_tokens",
)
STATES = np.array(["computed", "billed", "unpriced", ""], dtype=object)
_COMPUTED, _BILLED, _UNPRICED, _FAILED = 0, 1, 2, 3
_NO_PRICE = "no_price"


class Columns:
    """The books of the plain traces. Pricing may find more traces that are not plain (`plain.odd`)."""

    def __init__(self, plain: Plain, prices: Prices) -> None:
        self._plain = plain
        self._table = plain.table
        self._values = plain.context.values
        self._price(plain.chains, prices)
        self._tenant, self._traces = objects(self._table["tenant"]), objects(self._table["trace_id"])

    def _price(self, chains: Chains, prices: Prices) -> None:
        """Prices the calls; excludes the traces of calls that must be priced one by one."""
        size = len(chains.leaf)
        amounts, is_plain = np.zeros(size, np.int64), np.ones(size, np.bool_)
        state = np.full(size, _COMPUTED)
        books = np.full(size, "", dtype=object)
        flags = np.full(size, "", dtype=object)
        measured = chains.measured
        claims, fitting = _femto(self._table["cost_claim_usd"], chains.claim)
        counts = _counts(chains)
        names = ("provider", "request_model", "response_model", "service_tier")
        for rows in _alike([codes(pa.array(chains.texts[name], pa.string()))[0] for name in names]):
            texts = {name: chains.texts[name][rows[0]] for name in names}
            starts = chains.start_ns[rows]
            tariff = prices.tariff(Sort(**texts, first_ns=int(starts.min()), last_ns=int(starts.max())))
            if tariff is None:
                is_plain[rows] = False
                continue
            books[rows] = tariff.book
            if tariff.steps is None:
                state[rows], flags[rows] = _UNPRICED, _NO_PRICE
                continue
            counted, silent = rows[measured[rows]], rows[~measured[rows]]
            amounts[counted], is_plain[counted] = costs(tariff.steps, counts.some(counted))
            unknown = cost_without_usage(tariff.steps[0].rates)
            if unknown.femto_usd is None and len(unknown.flags) == 1:
                state[silent], flags[silent] = _UNPRICED, unknown.flags[0]
            else:
                is_plain[silent] = False
        billed = chains.by_provider & (claims >= 0)
        amounts[billed], state[billed] = claims[billed], _BILLED
        is_plain[billed & (books != "")] = True
        is_plain &= ~chains.two_models | (state != _UNPRICED)  # the other name may have a price
        is_plain |= chains.failed
        is_plain &= fitting
        state[chains.failed], books[chains.failed], claims[chains.failed] = _FAILED, "", 0
        amounts[(state == _UNPRICED) | chains.failed] = 0
        self._plain.odd[chains.trace[~is_plain]] = True
        keep = ~self._plain.odd[chains.trace]
        self.chains = chains.some(keep)
        self._amounts, self._claims, self._state = (c[keep] for c in (amounts, claims, state))
        self._books, self._flags = books[keep], flags[keep]

    def lines(self) -> pa.Table:
        """The lines of the book."""
        return pa.concat_tables([self._calls(), self._tools(), self._message_lines()])

    def reported_twice(self) -> Chains:
        return self.chains.some(self.chains.outer >= 0)

    def anomalies(self) -> list[Anomaly]:
        """Calls without a price."""
        rows = np.flatnonzero(self._state == _UNPRICED)
        names = ("tenant", "trace_id", "span_id", "started_at_ns", "service", "dialect")
        taken = [self._table[name].take(pa.array(self.chains.leaf[rows])).to_pylist() for name in names]
        found, models = [], self._model()
        for row, tenant, trace, span, started, service, dialect in zip(rows.tolist(), *taken, strict=True):
            odd = of_flag(self._flags[row], self.chains.texts["provider"][row], models[row])
            found.append(Anomaly(tenant, trace, span, *odd, started, service, dialect))
        return found

    def _model(self) -> Texts:
        response, request = self.chains.texts["response_model"], self.chains.texts["request_model"]
        model: Texts = np.where(response != "", response, request)
        return model

    def _either(self, name: str) -> Texts:
        """What the call's span inherits, else the one above it."""
        values, chains = self._values[name], self.chains
        outer = np.where(chains.outer >= 0, chains.outer, chains.leaf)
        found: Texts = np.where(values[chains.leaf] != "", values[chains.leaf], values[outer])
        return found

    def _calls(self) -> pa.Table:
        chains, leaf = self.chains, self.chains.leaf
        columns: dict[str, Any] = {
            **self._of_rows(leaf, ("tenant", "trace_id", "span_id", "service", "operation")),
            **{name: self._values[name][leaf] for name in _DIMS},
            "price_book": self._books,
            "kind": _same("call", leaf),
            "started_at_ns": chains.start_ns,
            "conversation_id": self._either("conversation_id"),
            "user_id": self._either("user_id"),
            "provider": chains.texts["provider"],
            "model": self._model(),
            "status": np.where(chains.error, "error", "ok").astype(object),
            "cost_state": STATES[self._state],
            "llm_calls": (~chains.failed).astype(np.int64),
            "failed_calls": chains.failed.astype(np.int64),
            **{name: chains.count(name) for name in _COUNTED},
            "cost_usd": self._amounts,
            "claimed_usd": self._claims,
            "claimed_calls": ((chains.claim >= 0) & ~chains.failed).astype(np.int64),
            "duration_ns": chains.end_ns - chains.start_ns,
        }
        for number, name in enumerate(STATES[:_FAILED].tolist()):
            columns[f"{name}_calls"] = (self._state == number).astype(np.int64)
        return _lines(columns, len(leaf))

    def _tool_rows(self) -> Ints:
        rows = executions(self._table, self._plain.forest)
        return rows[~self._plain.odd[self._plain.trace[rows]]]

    def _tools(self) -> pa.Table:
        rows = self._tool_rows()
        failed = self._plain.is_one_of("status", "error")[rows]
        columns = {
            **self._of_rows(rows, ("tenant", "trace_id", "span_id", "service")),
            **{name: values[rows] for name, values in self._values.items() if name != "correlation_id"},
            "kind": _same("tool", rows),
            "operation": _same("execute_tool", rows),
            "started_at_ns": self._plain.start[rows],
            "status": np.where(failed, "error", "ok").astype(object),
            "tool_calls": np.ones(len(rows), np.int64),
            "failed_tool_calls": failed.astype(np.int64),
            "duration_ns": (self._plain.end - self._plain.start)[rows],
        }
        return _lines(columns, len(rows))

    def _of_rows(self, rows: Ints, names: tuple[str, ...]) -> dict[str, Any]:
        taken = pa.array(rows)
        return {name: self._table[name].take(taken).cast(pa.string()) for name in names}

    def messages(self) -> pa.Table:
        """The rows of table `messages`."""
        found: pa.Table | None = getattr(self, "_messages", None)
        if found is None:
            found = self._messages = self._message_rows()
        return found

    def _message_rows(self) -> pa.Table:
        plain = self._plain
        wanted = np.zeros(len(plain.odd), np.bool_)
        wanted[plain.trace[plain.context.explicit_message]] = True
        is_inference = plain.is_one_of("role", "inference")[self.chains.leaf]
        wanted[self.chains.trace[is_inference]] = True
        wanted &= ~plain.odd
        rows = np.flatnonzero(wanted[plain.trace])
        ordered = pa.table({"t": plain.trace[rows], "s": plain.start[rows], "i": self._table["span_id"].take(rows)})
        rows = rows[pc.sort_indices(ordered, [(name, "ascending") for name in "tsi"]).to_numpy()]
        first = _firsts(plain.trace[rows])
        traces = plain.trace[rows][first]
        tops = rows[plain.forest.parent[rows] < 0]
        top = tops[_firsts(plain.trace[tops])]
        number = np.full(len(plain.odd), -1)
        number[traces] = np.arange(len(traces))
        group = number[plain.trace[rows]]
        until = np.full(len(traces), np.iinfo(np.int64).min)
        np.maximum.at(until, group, plain.end[rows])
        started = plain.start[rows[first]]
        failed = self._failed_messages(number, tops)
        counted = np.where(failed | plain.is_one_of("role", SINGLE)[top], 1, 2)
        values = {
            name: _first_value(self._values[name][rows], group, len(traces)) for name in self._values if name != "tool"
        }
        columns = {
            **self._of_rows(top, ("tenant", "trace_id", "service")),
            **values,
            "started_at_ns": started,
            "duration_ns": until - started,
            "status": np.where(failed, "error", "ok").astype(object),
            "error_type": self._error_types(failed, rows, group, tops),
            "providers": self._listed(number, self.chains.trace, self.chains.texts["provider"]),
            "models": self._models(number),
            "tools": self._listed(
                number, plain.trace[self._tool_rows()], objects(self._table["tool"])[self._tool_rows()]
            ),
            "counted": counted,
        }
        return pa.table({name: _array(columns[name], kind) for name, kind in MESSAGES.items()})

    def _failed_messages(self, number: Ints, tops: Ints) -> Bools:
        """A top span failed, or every call did."""
        plain, size = self._plain, int(number.max()) + 1 if len(number) else 0
        failed = np.zeros(size, np.bool_)
        failed[number[plain.trace[tops[plain.is_one_of("status", "error")[tops]]]]] = True
        served, called = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        of_message = number[self.chains.trace]
        called[of_message[of_message >= 0]] = True
        served[of_message[(of_message >= 0) & ~self.chains.error]] = True
        return failed | (called & ~served)

    def _error_types(self, failed: Bools, rows: Ints, group: Ints, tops: Ints) -> Texts:
        """The first error that a failed message's failed top spans name, else any of its spans."""
        types = objects(self._table["error_type"])
        result = np.full(len(failed), "", dtype=object)
        if not failed.any():
            return result
        of_top = np.zeros(len(types), np.bool_)
        of_top[tops] = True
        of_top &= self._plain.is_one_of("status", "error")
        for candidates in (of_top[rows], np.ones(len(rows), np.bool_)):
            for row, number in zip(rows[candidates].tolist(), group[candidates].tolist(), strict=True):
                if failed[number] and not result[number]:
                    result[number] = types[row]
        return result

    def _models(self, number: Ints) -> list[list[str]]:
        """Per message its models: of calls that were served, else of those that failed."""
        chains, models = self.chains, self._model()
        every = self._listed(number, chains.trace, models)
        if not chains.failed.any():
            return every
        served = self._listed(number, chains.trace[~chains.failed], models[~chains.failed])
        return [some or others for some, others in zip(served, every, strict=True)]

    def _listed(self, number: Ints, traces: Ints, texts: Texts) -> list[list[str]]:
        """Per message the distinct texts of its traces, in order."""
        found: list[list[str]] = [[] for _ in range(int(number.max()) + 1 if len(number) else 0)]
        of_text, words = codes(pa.array(texts, pa.string()))
        ordered = sorted(words)
        rank = {word: position for position, word in enumerate(ordered)}
        ranks = np.array([rank[word] for word in words], np.int64)[of_text] if words else of_text
        messages = number[traces]
        pairs = np.unique((messages * (len(words) + 1) + ranks)[messages >= 0])
        for pair in pairs.tolist():
            message, place = divmod(pair, len(words) + 1)
            if ordered[place]:
                found[message].append(ordered[place])
        return found

    def _message_lines(self) -> pa.Table:
        messages = self.messages()
        names = ("tenant", "trace_id", "started_at_ns", "conversation_id", "message_id", "user_id", "service")
        columns = {name: messages[name] for name in (*names, "workflow", "agent", "status")}
        kind = _same("message", np.zeros(len(messages), np.int64))
        return _lines({**columns, "kind": kind, "messages": messages["counted"]}, len(messages))


def _same(text: str, rows: Ints) -> Texts:
    return np.full(len(rows), text, dtype=object)


def _lines(columns: dict[str, Any], count: int) -> pa.Table:
    """Lines with these columns; what is not given is empty."""
    arrays = {}
    for name, kind in LINES.items():
        values = columns.get(name)
        if name in MONEY:
            arrays[name] = _decimals(np.zeros(count, np.int64) if values is None else values)
        elif values is None:
            empty = 0 if name in MEASURES else ""
            arrays[name] = pa.repeat(pa.scalar(empty, kind), count)
        else:
            arrays[name] = _array(values, kind)
    return pa.table(arrays)


def _array(values: Any, kind: pa.DataType) -> Any:
    return values if isinstance(values, pa.ChunkedArray) else pa.array(values, kind)


def _counts(chains: Chains) -> Counts:
    hourly = chains.count("cache_write_1h_input_tokens")
    writes = np.where(chains.known("cache_write_input_tokens"), chains.count("cache_write_input_tokens"), hourly)
    parts = {name: chains.count(column) for name, column in _PARTS.items()} | {"cache_write": writes}
    # An unknown input costs an unknown amount; less than nothing is never plain.
    tokens_in = np.where(chains.known("input_tokens"), chains.count("input_tokens"), -1)
    return Counts(tokens_in, chains.count("output_tokens"), chains.known("output_tokens"), parts)


def _alike(keys: list[Ints]) -> list[Ints]:
    """Rows with equal keys, together."""
    if not len(keys[0]):
        return []
    order = np.lexsort(keys)
    changed = np.zeros(len(order), np.bool_)
    for key in keys:
        changed[1:] |= key[order][1:] != key[order][:-1]
    return np.split(order, np.flatnonzero(changed))


def _firsts(group: Ints) -> Ints:
    """The first row of each group of contiguous equal numbers."""
    is_new = np.ones(len(group), np.bool_)
    is_new[1:] = group[1:] != group[:-1]
    return np.flatnonzero(is_new)


def _first_value(values: Texts, group: Ints, size: int) -> Texts:
    """The first text of each group that is not empty."""
    known = np.flatnonzero(values != "")
    result = np.full(size, "", dtype=object)
    result[group[known][::-1]] = values[known][::-1]
    return result


def _femto(claims: Any, rows: Ints) -> tuple[Ints, Bools]:
    """Amounts of these rows (−1: none, zero) in 1e-15, and for which of them that fits 64 bits."""
    has = rows >= 0
    taken = claims.take(pa.array(np.where(has, rows, 0))) if len(claims) else claims
    amounts = pc.fill_null(taken.cast(pa.decimal128(38, 15)), 0)
    words = np.frombuffer(_buffer(amounts), np.int64).reshape(-1, 2) if len(rows) else np.zeros((0, 2), np.int64)
    low, high = words[:, 0], words[:, 1]
    fits = (high == np.where(low < 0, -1, 0)) | ~has
    return np.where(has & fits, low, 0), fits


def _buffer(amounts: pa.ChunkedArray) -> Any:
    array = pa.concat_arrays(amounts.chunks) if amounts.num_chunks != 1 else amounts.chunk(0)
    if array.offset:
        array = pa.concat_arrays([array])
    return array.buffers()[1].slice(array.offset * 16, len(array) * 16)


def _decimals(femto: Ints) -> pa.Array:
    """Whole femto-dollars as exact decimals."""
    words = np.stack([femto, np.where(femto < 0, -1, 0)], axis=1).astype(np.int64)
    return pa.Array.from_buffers(pa.decimal128(38, 15), len(femto), [None, pa.py_buffer(words.tobytes())])
