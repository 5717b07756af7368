"""Joins the copies of a provider call that no parent joins: siblings, and orphan traces.

1. The same provider response id at about the same time is the same call.
2. Without two ids, two spans of *different* instrumentations are one call when they are of one service, name one model,
   have equal token counts (or stand in one trace or conversation where a copy has none), the one's time contains the
   other's, and nothing contradicts (conversation, user). Each copy joins at most one call per instrumentation.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from spanledger.books.calls import Call, absorb, same_counts

TOLERANCE_NS = 10_000_000  # clocks of one machine, read at slightly different moments
NEAR_NS = 600_000_000_000  # clocks of different machines
REUSED_ID = 50  # a response id in more traces than this is a constant of some emulator, not an identity


def join_copies(calls: Iterable[Call]) -> list[Call]:
    """Joins the copies that no parent joins; the input may span several traces. Independent of the input's order."""
    ordered = sorted(calls, key=lambda c: (c.start_ns, -c.end_ns, c.trace, c.span_id))
    return _join_by_likeness(_join_by_response_id(ordered))


def _join_by_response_id(calls: list[Call]) -> list[Call]:
    groups: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        if call.response_id and not call.cached:  # a cached answer repeats the id under which it was first given
            groups[call.tenant, call.response_id].append(call)
    gone: set[int] = set()
    for group in groups.values():
        if len(group) == 1:
            continue
        heads: list[Call] = []
        for call in group:
            head = next((h for h in heads[-REUSED_ID:] if _is_same_answer(h, call)), None)
            if head is None:
                heads.append(call)
            else:
                gone.add(id(call))
                _join(head, call)
    return [call for call in calls if id(call) not in gone]


def _is_same_answer(head: Call, call: Call) -> bool:
    """Whether two tellings with one response id, the later one second, are of one call.

    Emulators answer every call with one id. Hence one instrumentation that tells of an id twice saw two calls, unless
    they took place at once and count the same; and nothing is told of long after.
    """
    if head.scopes.isdisjoint(call.scopes):
        return call.start_ns <= head.end_ns + NEAR_NS
    return call.start_ns <= head.end_ns + TOLERANCE_NS and same_counts(head, call)


def _join_by_likeness(calls: list[Call]) -> list[Call]:
    services: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        services[call.tenant, call.service].append(call)
    gone: set[int] = set()
    for group in services.values():
        tellers = {call.scopes for call in group}
        if not any(a.isdisjoint(b) for a in tellers for b in tellers):
            continue
        earlier: dict[Any, list[Call]] = defaultdict(list)
        for call in group:
            found: Call | None = None
            for key in _likeness_keys(call):
                live = [c for c in earlier[key] if c.end_ns + TOLERANCE_NS >= call.start_ns]
                earlier[key] = live
                found = found or next((c for c in reversed(live) if _alike(c, call)), None)
            if found is not None:
                gone.add(id(call))
                _join(found, call)
            else:
                for key in _likeness_keys(call):
                    earlier[key].append(call)
    return [call for call in calls if id(call) not in gone]


def _likeness_keys(call: Call) -> list[Any]:
    keys: list[Any] = [("trace", call.trace)]
    if call.conversation:
        keys.append(("conversation", call.conversation))
    if call.measured:
        keys.append((call.usage["input_tokens"] or 0, call.usage["output_tokens"] or 0))
    return keys


def _alike(outer: Call, inner: Call) -> bool:
    """Rule 2 of this module. `outer` starts first."""
    close = outer.trace == inner.trace or (outer.conversation != "" and outer.conversation == inner.conversation)
    if outer.measured and inner.measured:
        if any((outer.usage[n] or 0) != (inner.usage[n] or 0) for n in ("input_tokens", "output_tokens")):
            return False  # embeddings: some say an output of 0, others none
    elif not close:
        return False
    return (
        outer.failed == inner.failed
        and outer.role == inner.role
        and outer.scopes.isdisjoint(inner.scopes)
        and not (outer.response_id and inner.response_id)
        and not outer.models.isdisjoint(inner.models)
        and (inner.end_ns <= outer.end_ns + TOLERANCE_NS or inner.start_ns <= outer.start_ns + TOLERANCE_NS)
        and not (outer.conversation and inner.conversation and outer.conversation != inner.conversation)
        and not (outer.user and inner.user and outer.user != inner.user)
    )


def _join(call: Call, other: Call) -> None:
    """Joins `other` into `call`; the copy with the richer context (a conversation, a user) stands for both."""
    if (bool(other.conversation), bool(other.user)) > (bool(call.conversation), bool(call.user)):
        call.row, call.trace, call.span_id, call.service = (
            other.row,
            other.trace,
            other.span_id,
            other.service,
        )
    absorb(call, other)
    call.copies.append(other)
