"""Merges the tellings of one call, one rule per field (docs/dialects.md, "Conflicting records of one call").

The result depends on the set of tellings alone, not on their order, nesting or traces. One exception: where tellings of
one trace contradict each other in their counts, the innermost one wins.

Any sender can report any call. Therefore tellings of our own service take precedence: others never lower or remove
their usage, names, owner or bill, and only fill in fields that they leave empty.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from spanledger.books.calls import CALL_ROLES, FETCH, Call, same_counts

IsPriced = Callable[[Call], bool]
_DRAWN_ID = re.compile(r"chatcmpl-\d{1,3}")  # Ollama's response ids: a random number below 999
_ORDINARY_TIERS = ("", "auto", "default", "standard")


def absorb(call: Call, other: Call) -> None:
    """Merges `other`, the telling of an ancestor span."""
    highest = max((one.level for one in call.tellings), default=0)
    for one in _tellings(other):
        one.level += highest + 1
    join(call, other)


def join(call: Call, other: Call) -> None:
    """Merges `other`, a telling of the same call in any trace."""
    call.tellings = _tellings(call) + _tellings(other)
    call.rows.extend(other.rows)
    call.scopes |= other.scopes
    call.models |= other.models
    call.start_ns = min(call.start_ns, other.start_ns)
    call.end_ns = max(call.end_ns, other.end_ns)
    resolve(call)


def _tellings(call: Call) -> list[Call]:
    if not call.tellings:
        call.tellings = [replace(call, rows=list(call.rows))]
    return call.tellings


def resolve(call: Call) -> None:
    """Sets the fields of a call by its tellings; names are settled without prices, see `name_by_price`."""
    tellings = _by_precedence(call.tellings)
    first = tellings[0]
    call.row, call.trace, call.span_id, call.service = first.row, first.trace, first.span_id, first.service
    call.parent = first.parent
    call.conversation, call.user = _owner(tellings)
    _set_usage(call, tellings)
    _set_claim(call, tellings)
    _set_role(call, tellings)
    call.error = all(one.error for one in tellings)
    own = [one for one in tellings if one.is_own and one.role in CALL_ROLES]
    call.cached = any(one.cached for one in own or tellings)
    call.shows_answer = any(one.shows_answer for one in tellings)
    call.finish_reason = _first(tellings, "finish_reason")
    call.response_id = _first((one for one in tellings if not one.is_relayed), "response_id")
    call.response_id = call.response_id or _first(tellings, "response_id")
    call.service_tier = max(
        (one.service_tier for one in tellings),
        key=lambda tier: (_is_own_value(tellings, "service_tier", tier), tier not in _ORDINARY_TIERS, tier),
    )
    providers, models = _providers(tellings), _models(tellings)
    call.provider = providers[0] if providers else ""
    call.request_model = _first(tellings, "request_model")
    call.response_model = models[0] if models else ""


def name_by_price(call: Call, is_priced: IsPriced) -> None:
    """Chooses provider and model where tellings differ: a name with a price takes precedence."""
    if len(call.tellings) < 2:
        return
    tellings = _by_precedence(call.tellings)
    providers, models = _providers(tellings), _models(tellings) or [""]
    requests = [name for name in dict.fromkeys(one.request_model for one in tellings) if name]
    if len(providers) < 2 and len(models) < 2 and len(requests) < 2:
        return

    def priced(provider: str, model: str) -> bool:
        request = call.request_model if model else (requests[0] if requests else "")
        return is_priced(replace(call, provider=provider, response_model=model, request_model=request))

    prices = {(p, m): priced(p, m) for p in providers for m in models}
    own = {one.provider for one in tellings if one.is_own}
    hosted = {one.provider for one in tellings if one.by_host}
    best = sorted(
        range(len(providers)),
        key=lambda n: (
            not (providers[n] in own and any(prices[providers[n], m] for m in models)),
            providers[n] not in hosted,
            not any(prices[providers[n], m] for m in models),
            n,
        ),
    )
    if providers:
        call.provider = providers[best[0]]
        call.response_model = min(models, key=lambda m: (not prices[call.provider, m], models.index(m)))


def _by_precedence(tellings: list[Call]) -> list[Call]:
    """Tellings in the order in which they represent a call: own service, known owner, then the innermost of the trace
    that reported the call first. Depths in different traces are not comparable."""
    began: dict[str, int] = {}
    for one in tellings:
        began[one.trace] = min(one.start_ns, began.get(one.trace, one.start_ns))

    def precedence(one: Call) -> tuple[Any, ...]:
        is_own = one.is_own and one.role in CALL_ROLES
        since = began[one.trace]
        return not is_own, not one.conversation, not one.user, since, one.trace, one.level, *_start_order(one)

    return sorted(tellings, key=precedence)


def _start_order(one: Call) -> tuple[Any, ...]:
    return one.start_ns, -one.end_ns, one.trace, one.span_id


def _first(tellings: Iterable[Call], name: str) -> str:
    """The first non-empty value of a field: own service first, then by value, so that the order of tellings does not
    matter."""
    values = [(not one.is_own, getattr(one, name)) for one in tellings if getattr(one, name)]
    return str(min(values)[1]) if values else ""


def _is_own_value(tellings: Iterable[Call], name: str, word: str) -> bool:
    return any(one.is_own and getattr(one, name) == word != "" for one in tellings)


def _owner(tellings: list[Call]) -> tuple[str, str]:
    """Conversation and user, from one telling if it has both. `tellings` is ordered by precedence."""
    ranked = sorted(tellings, key=lambda one: (not (one.is_own and one.user), not (one.conversation and one.user)))
    conversation = next((one.conversation for one in ranked if one.conversation), "")
    return conversation, next((one.user for one in ranked if one.user), "")


def _total(one: Call) -> int:
    return (one.usage["input_tokens"] or 0) + (one.usage["output_tokens"] or 0)


def _set_usage(call: Call, tellings: list[Call]) -> None:
    measured = [one for one in tellings if one.measured]
    if not measured:
        return
    guesses = [one for one in measured if one.estimated]
    ranked = sorted(
        measured, key=lambda one: (_is_guess(one, guesses), not one.is_own, one.level, -_total(one), *_start_order(one))
    )
    base = ranked[0]
    own = next((one for one in ranked if one.is_own and one.role in CALL_ROLES), None)
    if own is not None and not base.is_own and _total(base) < _total(own):
        base = own  # other senders cannot lower what our own service recorded
    if not base.is_own:
        for one in ranked:
            if not one.estimated and refines(one, base):
                base = one
    usage = dict(base.usage)
    for one in ranked:
        if same_counts(base, one):
            usage = {name: count if count is not None else one.usage[name] for name, count in usage.items()}
    call.usage, call.estimated = usage, base.estimated
    is_sum = all(one.role not in CALL_ROLES for one in tellings)
    call.count = max(one.count for one in tellings) if is_sum else 1  # only a step can report several calls


def _is_guess(one: Call, guesses: list[Call]) -> bool:
    """Whether it is an estimate, or a step that repeats the counts of an estimate."""
    return one.estimated or (one.role not in CALL_ROLES and any(same_counts(one, guess) for guess in guesses))


def refines(richer: Call, plain: Call) -> bool:
    """Whether `richer` includes tokens that `plain` omits: reasoning in the output, or cache in the input."""
    a, b = richer.usage, plain.usage
    if None in (a["input_tokens"], b["input_tokens"], a["output_tokens"], b["output_tokens"]):
        return False
    cache = (a["cache_read_input_tokens"] or 0) + (a["cache_write_input_tokens"] or 0)
    more_input = (a["input_tokens"] or 0) - (b["input_tokens"] or 0)
    more_output = (a["output_tokens"] or 0) - (b["output_tokens"] or 0)
    is_input = more_input == 0 or (more_input == cache and not _has_cache(b))
    is_output = more_output == 0 or (more_output == a["reasoning_output_tokens"] and not b["reasoning_output_tokens"])
    return is_input and is_output and (more_input > 0 or more_output > 0)


def may_share_id(a: Call, b: Call) -> bool:
    """Whether two spans with the same response id may report one call. Ollama repeats its random ids: there the token
    counts must be equal too or, where a span has none, the models must agree and the times overlap."""
    if not _DRAWN_ID.fullmatch(a.response_id):
        return True
    if all(one.measured and not one.estimated for one in (a, b)):
        return same_counts(a, b) or refines(a, b) or refines(b, a)
    return not a.models.isdisjoint(b.models) and a.start_ns <= b.end_ns and b.start_ns <= a.end_ns


def _has_cache(usage: dict[str, int | None]) -> bool:
    return bool(usage["cache_read_input_tokens"] or usage["cache_write_input_tokens"])


def _set_claim(call: Call, tellings: list[Call]) -> None:
    """A provider's bill takes precedence over a sender's own sum. If our own service measured the call, only the bill
    that it received counts."""
    is_ours = any(one.is_own and one.measured for one in tellings)
    claims: list[tuple[bool, bool, Decimal]] = [
        (one.claim_source == "provider" and (one.is_own or not is_ours), one.is_own, one.claim_usd)
        for one in tellings
        if one.claim_usd is not None
    ]
    if not claims:
        return
    is_bill, _, amount = max(claims)
    call.claim_usd, call.claim_source = amount, "provider" if is_bill else "local"


def _set_role(call: Call, tellings: list[Call]) -> None:
    roles = [one for one in tellings if one.role in CALL_ROLES]
    if roles:
        chosen = min(
            roles, key=lambda one: (not one.is_own, one.operation == FETCH, one.level, one.role, one.operation)
        )
        call.role, call.operation = chosen.role, chosen.operation


def _providers(tellings: list[Call]) -> list[str]:
    """Provider names, most reliable first: from our own service, confirmed by the provider's host, a provider's name,
    a gateway's or host's name."""
    ranked = sorted(
        (one for one in tellings if one.provider),
        key=lambda one: (not one.is_own, not one.by_host, not one.is_named, one.provider),
    )
    return list(dict.fromkeys(one.provider for one in ranked))


def _models(tellings: list[Call]) -> list[str]:
    """Response models, most reliable first: from our own service, other than the requested model, most specific."""
    ranked = sorted(
        (one for one in tellings if one.response_model),
        key=lambda one: (not one.is_own, model_rank(one.request_model, one.response_model)),
    )
    return list(dict.fromkeys(one.response_model for one in ranked))


def model_rank(request_model: str, response_model: str) -> tuple[bool, int, str]:
    """Orders what tellings say which model served: other than the requested one first, then the most specific."""
    return response_model == request_model, -len(response_model), response_model
