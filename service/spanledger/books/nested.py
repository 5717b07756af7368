"""The provider calls that the spans of a trace report.

Leaf spans count. An ancestor span that repeats their usage is another telling of the same call. A tool between the two
tells that it is none, unless their counts are equal: what a tool asks is not what asked for the tool. Copies without a
common parent are joined by copies.py.
"""

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any

from spanledger.books.calls import CALL_ROLES, USAGE, WITHOUT_ID, Call, Span, call_of, same_counts
from spanledger.books.tellings import absorb, join, may_share_id, refines

_BESIDE_NS = 1_000_000_000  # longest gap between internal steps of one library


def calls_in_traces(spans: dict[int, Span], above: dict[int, int], in_tool: Container[int] = ()) -> list[Call]:
    """The calls that the candidate spans report; leaves are joined with ancestors that repeat them.

    `spans`: candidates by row (a call role, or usage); `above`: row → row of the nearest candidate ancestor, or −1;
    `in_tool`: rows with a tool between them and that ancestor.
    """
    children: dict[int, list[int]] = defaultdict(list)
    for row in spans:
        children[above[row]].append(row)
    result: dict[int, list[Call]] = {}
    stack = [(row, False) for row in children[-1]]
    while stack:
        row, expanded = stack.pop()
        if not expanded and row in children:
            stack.append((row, True))
            stack.extend((child, False) for child in children[row])
            continue
        below = [call for child in children.get(row, ()) for call in result.pop(child)]
        result[row] = _with_outer(row, spans[row], below)
        if row in in_tool or spans[row]["role"] == "tool":
            for call in result[row]:
                call.in_tool = True
    return _without_helpers([call for calls in result.values() for call in calls])


def _without_helpers(calls: list[Call]) -> list[Call]:
    """Removes internal steps of a library: marked as calls, without an answer, at the time of the real call. A record
    of what a call has used is one, too, where that call is there with the same counts."""
    if all(call.shows_answer for call in calls):
        return calls
    real: dict[Any, list[Call]] = defaultdict(list)
    for call in calls:
        if call.shows_answer and call.measured and call.end_ns > call.start_ns:
            real[_place(call)].append(call)

    def is_helper(call: Call) -> bool:
        return any(
            _may_be_model(call, one)
            and (not call.is_record or same_counts(call, one))
            and call.start_ns <= one.end_ns + _BESIDE_NS
            and one.start_ns <= call.end_ns + _BESIDE_NS
            for one in real.get(_place(call), ())
        )

    return [
        call for call in calls if call.shows_answer or (call.measured and not call.is_record) or not is_helper(call)
    ]


def _place(call: Call) -> tuple[str, str, str, frozenset[str]]:
    return call.tenant, call.trace, call.parent, call.scopes


def _with_outer(row: int, span: Span, below: list[Call]) -> list[Call]:
    """The calls of a subtree whose top is `span`."""
    outer = call_of(row, span)
    is_call = span["role"] in CALL_ROLES
    if not below:
        return [outer] if is_call or outer.measured else []
    if is_call and outer.measured and outer.shows_answer:
        below = [c for c in below if not _is_step_of(c, outer)]
        if not below:
            return [outer]
    same = [c for c in below if not is_call or c.role == span["role"] or c.role not in CALL_ROLES]
    below, same = _without_twins(below, same)
    served = [c for c in same if not c.failed]
    if not served:
        # Every attempt that was seen failed (or was of another kind), yet the outer span got an answer.
        return [*below, outer] if (is_call and not outer.error) or outer.measured else below
    if _is_apart(outer, served):
        return [*below, outer]
    served = _without_tools(outer, served)
    if len(served) == 1:
        absorb(served[0], outer)
        return below
    if outer.is_own and is_call and not _cover(served, outer):
        # The spans below a call of our own service report less usage than it does: its own usage stands.
        for call in served[1:]:
            absorb(served[0], call)
        absorb(served[0], outer)
        gone = {id(call) for call in served[1:]}
        return [call for call in below if id(call) not in gone]
    for call in served:
        _take_names(call, outer)
    unknown = sorted((c for c in served if not c.measured), key=lambda c: (c.start_ns, c.span_id))
    if outer.measured and unknown:
        rest = _rest(outer, [c for c in served if c.measured])
        if rest is not None and (len(unknown) == 1 or len(unknown) == len(served)):
            _give(unknown[-1], rest)
            unknown[-1].estimated |= outer.estimated or any(c.estimated for c in served)  # estimates add up to one
    return below


def _is_apart(outer: Call, served: Sequence[Call]) -> bool:
    """Whether the span of `outer` reports another call, or other usage, than the calls below it (`served`)."""
    if outer.count > 1 or any(_repeats(outer, one) for one in (_whole(served), _whole(_distinct(served)), *served)):
        return False
    in_tools = all(call.in_tool for call in served)
    if outer.role in CALL_ROLES:
        return _asks_in_tools(outer, served) if in_tools else len(served) == 1 and _is_other_answer(outer, served[0])
    if not outer.measured or outer.estimated or not all(call.measured for call in served):
        return False
    return in_tools or (bool(outer.usage["output_tokens"]) and all(call.role in WITHOUT_ID for call in served))


def _asks_in_tools(outer: Call, served: Sequence[Call]) -> bool:
    """Whether `outer` has token counts or another response id than the calls `served`, which its tools made."""
    return outer.measured or outer.response_id not in ("", *(call.response_id for call in served))


def _is_other_answer(outer: Call, inner: Call) -> bool:
    """Whether response ids and token counts both differ. Different ids alone may be a gateway's and the provider's."""
    is_known = outer.measured and inner.measured and not (outer.estimated or inner.estimated)
    are_two = outer.response_id != inner.response_id and "" not in (outer.response_id, inner.response_id)
    return is_known and are_two and not any(one.is_own or one.is_relayed for one in (outer, inner))


def _repeats(outer: Call, whole: Call) -> bool:
    """Whether `outer` has the token counts of `whole`, with more, less or the same detail (cache, reasoning)."""
    names = ("input_tokens", "output_tokens")
    is_common = any(outer.usage[n] is not None and whole.usage[n] is not None for n in names)
    return (is_common and same_counts(outer, whole)) or refines(outer, whole) or refines(whole, outer)


def _distinct(calls: Sequence[Call]) -> list[Call]:
    """One call for each that several instrumentations report side by side; copies.py joins those later."""
    found: list[Call] = []
    for call in calls:
        if not any(_is_twin(one, call) for one in found):
            found.append(call)
    return found


def _is_twin(one: Call, two: Call) -> bool:
    return (
        one.scopes.isdisjoint(two.scopes)
        and max(one.start_ns, two.start_ns) <= min(one.end_ns, two.end_ns)
        and (same_counts(one, two) or refines(one, two) or refines(two, one))
    )


def _whole(calls: Sequence[Call]) -> Call:
    """A call with the usage of all `calls`. Embeddings have no output; other unknown counts stay unknown."""

    def added(name: str) -> int | None:
        counts = [0 if call.usage[name] is None and call.role in WITHOUT_ID else call.usage[name] for call in calls]
        known = [count for count in counts if count is not None]
        is_part = name not in ("input_tokens", "output_tokens")
        return sum(known) if known and (is_part or len(known) == len(counts)) else None

    return replace(calls[0], usage={name: added(name) for name in USAGE})


def _without_tools(outer: Call, served: list[Call]) -> list[Call]:
    """The calls that `outer` may report: without those of its tools, if its counts are those of the others."""
    direct = [call for call in served if not call.in_tool]
    is_told = len(direct) > 1 or (len(direct) == 1 and same_counts(direct[0], outer))
    return direct if is_told and outer.role in CALL_ROLES else served


def _take_names(call: Call, outer: Call) -> None:
    """A call that names no model is one of the model that the span which sums it up names."""
    if not call.model and outer.model:
        call.request_model, call.response_model, call.models = outer.request_model, outer.response_model, outer.models
        call.provider = call.provider or outer.provider


def _is_step_of(call: Call, outer: Call) -> bool:
    """Whether a call below a measured one is an internal step of the same library, without answer or usage."""
    is_silent = not call.shows_answer and not call.measured
    return is_silent and call.scopes == outer.scopes and _may_be_model(call, outer)


def _may_be_model(helper: Call, real: Call) -> bool:
    return helper.request_model.lower() in ("", real.request_model.lower())


def _without_twins(below: list[Call], same: list[Call]) -> tuple[list[Call], list[Call]]:
    """Joins siblings of different instrumentations that have the same response id, or that ask for an answer again:
    they are one call."""
    if len(same) < 2:
        return below, same
    first: dict[str, Call] = {}
    gone: set[int] = set()
    for call in sorted(same, key=lambda one: (one.start_ns, -one.end_ns, one.span_id)):
        known = first.setdefault(call.response_id, call) if call.response_id and not call.cached else call
        is_again = call.is_kept and same_counts(known, call)
        if known is not call and may_share_id(known, call) and (known.scopes.isdisjoint(call.scopes) or is_again):
            join(known, call)
            gone.add(id(call))
    if not gone:
        return below, same
    return [c for c in below if id(c) not in gone], [c for c in same if id(c) not in gone]


def _give(call: Call, usage: dict[str, int | None]) -> None:
    """Sets usage that was derived from a total; no telling of the call reports it."""
    call.usage, call.rested = usage, True
    if call.tellings:
        call.tellings[0].usage = usage


def _cover(calls: Sequence[Call], outer: Call) -> bool:
    """Whether the usage of `calls` adds up to at least that of the ancestor `outer`."""
    if not outer.measured or any(call.is_own for call in calls):
        return True
    names = ("input_tokens", "output_tokens")
    return all(sum(call.usage[name] or 0 for call in calls) >= (outer.usage[name] or 0) for name in names)


def _rest(outer: Call, known: Sequence[Call]) -> dict[str, int | None] | None:
    """The usage of `outer` minus that of the `known` calls; None when the total is smaller than their sum."""
    rest: dict[str, int | None] = {}
    for name in USAGE:
        whole = outer.usage[name]
        part = sum(c.usage[name] or 0 for c in known)
        if whole is not None and whole < part:
            return None
        rest[name] = None if whole is None else whole - part
    return rest if rest["input_tokens"] or rest["output_tokens"] else None
