"""Joins copies of a provider call that have no common parent: siblings, and separate traces.

1. The same provider response id at about the same time is the same call.
2. A span without usage and the span of no length in which the same instrumentation reports the result are one call.
3. Without two ids, two spans of *different* instrumentations are one call when they are of one service, name one model
   (or one of them none, in one trace or conversation), have equal token counts (or stand in one trace or conversation
   where a copy has none), the one's time contains the other's, and nothing contradicts (conversation, user, provider,
   host, served model, end). Each copy joins at most one call per instrumentation.
4. Embeddings have no response id: reported by our own service and by another one, or by a client of a gateway and by
   the gateway, they are one call by rule 3, too.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from spanledger.books.calls import WITHOUT_ID, Call, same_counts
from spanledger.books.tellings import join, may_share_id

TOLERANCE_NS = 10_000_000  # clocks of one machine, read at slightly different moments
NEAR_NS = 600_000_000_000  # clocks of different machines
_ENDS = {"stop", "length"}  # of an answer, which has one of them
_GOOGLE = "gcp."  # the names of Google's endpoints begin so
REUSED_ID = 50  # a response id in more traces than this is a constant of some emulator, not an identity


def join_copies(calls: Iterable[Call]) -> list[Call]:
    """Joins copies without a common parent, also across traces. The order of the input does not matter."""
    ordered = sorted(calls, key=lambda c: (c.start_ns, -c.end_ns, c.trace, c.span_id))
    joined = _join_embeddings(_join_by_likeness(_join_results(_join_by_response_id(ordered))))
    return [call for call in joined if not call.is_fetched_only]


def _join_results(calls: list[Call]) -> list[Call]:
    """Requests whose result the same instrumentation reports in a span of no length, when a stream has ended."""
    results = [call for call in calls if call.start_ns == call.end_ns and call.shows_answer and not call.error]
    if not results:
        return calls
    waiting: dict[Any, list[Call]] = defaultdict(list)
    for call in calls:
        if not (call.measured or call.response_id or call.finish_reason or call.error) and call.end_ns > call.start_ns:
            waiting[_asker(call)].append(call)
    gone: set[int] = set()
    for result in results:
        open_calls = waiting.get(_asker(result), [])
        place = next((p for p in reversed(range(len(open_calls))) if _may_end(open_calls[p], result)), None)
        if place is not None:
            gone.add(id(result))
            _join(open_calls.pop(place), result)
    return [call for call in calls if id(call) not in gone]


def _asker(call: Call) -> tuple[str, str, frozenset[str], str, str]:
    return call.tenant, call.service, call.scopes, call.role, call.request_model


def _may_end(call: Call, result: Call) -> bool:
    is_after = call.end_ns - TOLERANCE_NS <= result.start_ns <= call.end_ns + NEAR_NS
    return is_after and _owners_agree(call, result)


def _join_embeddings(calls: list[Call]) -> list[Call]:
    groups: dict[Any, list[Call]] = defaultdict(list)
    for call in calls:
        if call.role in WITHOUT_ID and call.measured and not call.response_id and not call.cached:
            groups[call.tenant, call.role, call.usage["input_tokens"]].append(call)
    gone: set[int] = set()
    for group in groups.values():
        for position, outer in enumerate(group):
            for inner in group[position + 1 :]:
                if inner.start_ns > outer.end_ns + TOLERANCE_NS:
                    break
                if id(outer) in gone or id(inner) in gone or outer.service == inner.service:
                    continue
                is_passed_on = outer.is_own != inner.is_own or _by_gateway(outer, inner) or _by_gateway(inner, outer)
                if is_passed_on and _alike(outer, inner):
                    gone.add(id(inner))
                    _join(outer, inner)
    return [call for call in calls if id(call) not in gone]


def _by_gateway(client: Call, gateway: Call) -> bool:
    """Whether one went to a host that is no provider's own, and the other names the provider."""
    return client.server not in ("", gateway.server) and not client.by_host and gateway.is_named


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
                times = head.start_ns, head.end_ns
                # A retrieval after the end of the call does not extend the time of the call.
                is_later = (head.is_kept or call.is_kept) and call.start_ns > head.end_ns
                _join(head, call)
                if is_later:
                    head.start_ns, head.end_ns = times
    return [call for call in calls if id(call) not in gone]


def _is_same_answer(head: Call, call: Call) -> bool:
    """Whether two tellings with one response id, the later one second, are of one call.

    Emulators answer every call with one id, and some servers draw from few. Hence one instrumentation that reports an
    id twice saw two calls, unless they took place at once and count the same; and a call is not reported long after its
    end. The runs and answers that a provider keeps are reported whenever an application fetches them.
    """
    if not may_share_id(head, call):
        return False
    if (head.is_kept or call.is_kept) and same_counts(head, call):
        return True
    if head.scopes.isdisjoint(call.scopes):
        return call.start_ns <= head.end_ns + NEAR_NS
    return call.start_ns <= head.end_ns + TOLERANCE_NS and same_counts(head, call)


def _join_by_likeness(calls: list[Call]) -> list[Call]:
    services: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        for service in sorted({one.service for one in call.tellings or (call,)}):
            services[call.tenant, service].append(call)
    gone: set[int] = set()
    for group in services.values():
        tellers = {call.scopes for call in group}
        if not any(a.isdisjoint(b) for a in tellers for b in tellers):
            continue
        earlier: dict[Any, list[Call]] = defaultdict(list)
        for call in group:
            if id(call) in gone:
                continue
            found: Call | None = None
            for key in _likeness_keys(call):
                live = [c for c in earlier[key] if c.end_ns + TOLERANCE_NS >= call.start_ns and id(c) not in gone]
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
    """Rule 3 of this module. `outer` starts first."""
    close = outer.trace == inner.trace or (outer.conversation != "" and outer.conversation == inner.conversation)
    if outer.measured and inner.measured:
        if any((outer.usage[n] or 0) != (inner.usage[n] or 0) for n in ("input_tokens", "output_tokens")):
            return False  # embeddings: some instrumentations report an output of 0, others none
    elif not close:
        return False
    return (
        outer.failed == inner.failed
        and outer.role == inner.role
        and outer.scopes.isdisjoint(inner.scopes)
        and not (_own_id(outer) and _own_id(inner))
        and _models_agree(outer, inner, close)
        and (inner.end_ns <= outer.end_ns + TOLERANCE_NS or inner.start_ns <= outer.start_ns + TOLERANCE_NS)
        and _owners_agree(outer, inner)
        and (outer.service != inner.service or _one_provider(outer, inner))
        and _answers_agree(outer, inner)
    )


def _own_id(call: Call) -> str:
    """The response id that the provider made; '' where a gateway made it, which may differ from the provider's."""
    return "" if call.is_relayed else call.response_id


def _models_agree(a: Call, b: Call, close: bool) -> bool:
    """Whether both spans name a common model. A span without a model agrees with one of the same trace or conversation
    if both have token counts (Codex's span and its log record)."""
    if bool(a.models) == bool(b.models):
        return not a.models.isdisjoint(b.models)
    return close and a.measured and b.measured


def _owners_agree(a: Call, b: Call) -> bool:
    """Whether conversation and user do not contradict each other."""
    return not (a.conversation and b.conversation and a.conversation != b.conversation) and not (
        a.user and b.user and a.user != b.user
    )


def _answers_agree(a: Call, b: Call) -> bool:
    """Whether response model and finish reason do not contradict each other."""
    if {a.finish_reason, b.finish_reason} == _ENDS:
        return False
    one, two = _served(a), _served(b)
    return not one or not two or one.startswith(two) or two.startswith(one)


def _served(call: Call) -> str:
    """The response model if it differs from the requested one, else ''."""
    served = call.response_model.lower().rpartition("/")[2]
    return "" if served == call.request_model.lower().rpartition("/")[2] else served


def _one_provider(a: Call, b: Call) -> bool:
    """Whether two tellings of one service may be of one provider: hedged or compared calls go to several at once.

    Instrumentations of OpenAI's client call every compatible host `openai`, so that name without a host is none.
    """
    if a.server and b.server and a.server != b.server:
        return False
    if a.provider == b.provider or not (a.is_named and b.is_named):
        return True
    if a.provider.startswith(_GOOGLE) and b.provider.startswith(_GOOGLE):
        return True
    return any(one.provider == "openai" and not one.server and other.by_host for one, other in ((a, b), (b, a)))


def _join(call: Call, other: Call) -> None:
    join(call, other)
    call.copies.append(other)
