"""What several tellings of one call say together: one rule per field (docs/dialects.md, "Who is believed").

The result depends on the set of tellings alone, not on their order, on who is whose parent or in which trace they
stand; only where tellings of one trace contradict each other in their counts, the innermost is believed.

Whoever may send spans may tell of any call. So a telling of our own service is never lowered or erased by others: its
usage, names, owner and bill stand, and others only add what it leaves open.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from spanledger.books.calls import CALL_ROLES, Call, same_counts

IsPriced = Callable[[Call], bool]
_ORDINARY_TIERS = ("", "auto", "default", "standard")


def absorb(call: Call, other: Call) -> None:
    """`other`, which stands above `call`, tells of the same call."""
    highest = max((one.level for one in call.tellings), default=0)
    for one in _tellings(other):
        one.level += highest + 1
    join(call, other)


def join(call: Call, other: Call) -> None:
    """`other` tells of the same call, from wherever."""
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
    told = _in_standing_order(call.tellings)
    first = told[0]
    call.row, call.trace, call.span_id, call.service = first.row, first.trace, first.span_id, first.service
    call.parent = first.parent
    call.conversation, call.user = _owner(told)
    _set_usage(call, told)
    _set_claim(call, told)
    _set_role(call, told)
    call.error = all(one.error for one in told)
    own = [one for one in told if one.is_own and one.role in CALL_ROLES]
    call.cached = any(one.cached for one in own or told)
    call.shows_answer = any(one.shows_answer for one in told)
    call.finish_reason = _first(told, "finish_reason")
    call.response_id = _first(told, "response_id")
    call.service_tier = max(
        (one.service_tier for one in told),
        key=lambda tier: (_is_own_word(told, "service_tier", tier), tier not in _ORDINARY_TIERS, tier),
    )
    providers, models = _providers(told), _models(told)
    call.provider = providers[0] if providers else ""
    call.request_model = _first(told, "request_model")
    call.response_model = models[0] if models else ""


def name_by_price(call: Call, is_priced: IsPriced) -> None:
    """Settles provider and model where tellings differ: a name with a price goes before one without."""
    if len(call.tellings) < 2:
        return
    told = _in_standing_order(call.tellings)
    providers, models = _providers(told), _models(told) or [""]
    requests = [name for name in dict.fromkeys(one.request_model for one in told) if name]
    if len(providers) < 2 and len(models) < 2 and len(requests) < 2:
        return

    def priced(provider: str, model: str) -> bool:
        request = call.request_model if model else (requests[0] if requests else "")
        return is_priced(replace(call, provider=provider, response_model=model, request_model=request))

    prices = {(p, m): priced(p, m) for p in providers for m in models}
    own = {one.provider for one in told if one.is_own}
    hosted = {one.provider for one in told if one.by_host}
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


def _in_standing_order(tellings: list[Call]) -> list[Call]:
    """Who stands for a call, best first: our own service, who knows the owner, then the innermost of the trace in which
    the call was told of first. The depth in one trace says nothing about a telling in another."""
    began: dict[str, int] = {}
    for one in tellings:
        began[one.trace] = min(one.start_ns, began.get(one.trace, one.start_ns))

    def standing(one: Call) -> tuple[Any, ...]:
        is_own = one.is_own and one.role in CALL_ROLES
        since = began[one.trace]
        return not is_own, not one.conversation, not one.user, since, one.trace, one.level, *_told_first(one)

    return sorted(tellings, key=standing)


def _told_first(one: Call) -> tuple[Any, ...]:
    return one.start_ns, -one.end_ns, one.trace, one.span_id


def _first(told: Iterable[Call], name: str) -> str:
    """What the first of the tellings says that says anything, those of our own service before others; of the others by
    the text, which does not depend on where they stand."""
    said = [(not one.is_own, getattr(one, name)) for one in told if getattr(one, name)]
    return str(min(said)[1]) if said else ""


def _is_own_word(told: Iterable[Call], name: str, word: str) -> bool:
    return any(one.is_own and getattr(one, name) == word != "" for one in told)


def _owner(told: list[Call]) -> tuple[str, str]:
    """Conversation and user, of one telling as far as it knows both; `told` in standing order."""
    ranked = sorted(told, key=lambda one: (not (one.is_own and one.user), not (one.conversation and one.user)))
    conversation = next((one.conversation for one in ranked if one.conversation), "")
    return conversation, next((one.user for one in ranked if one.user), "")


def _total(one: Call) -> int:
    return (one.usage["input_tokens"] or 0) + (one.usage["output_tokens"] or 0)


def _set_usage(call: Call, told: list[Call]) -> None:
    measured = [one for one in told if one.measured]
    if not measured:
        return
    guesses = [one for one in measured if one.estimated]
    ranked = sorted(
        measured, key=lambda one: (_is_guess(one, guesses), not one.is_own, one.level, -_total(one), *_told_first(one))
    )
    base = ranked[0]
    own = next((one for one in ranked if one.is_own and one.role in CALL_ROLES), None)
    if own is not None and not base.is_own and _total(base) < _total(own):
        base = own  # nobody else lowers what our own service says
    if not base.is_own:
        for one in ranked:
            if not one.estimated and refines(one, base):
                base = one
    usage = dict(base.usage)
    for one in ranked:
        if same_counts(base, one):
            usage = {name: count if count is not None else one.usage[name] for name, count in usage.items()}
    call.usage, call.estimated = usage, base.estimated
    is_sum = all(one.role not in CALL_ROLES for one in told)
    call.count = max(one.count for one in told) if is_sum else 1  # a step that alone tells of several, or repeats it


def _is_guess(one: Call, guesses: list[Call]) -> bool:
    """Whether it is an estimate, or a step that merely sums one up, which makes it no better known."""
    return one.estimated or (one.role not in CALL_ROLES and any(same_counts(one, guess) for guess in guesses))


def refines(richer: Call, plain: Call) -> bool:
    """Whether a telling counts what another leaves out: thoughts beside the output, cache beside the input."""
    a, b = richer.usage, plain.usage
    if None in (a["input_tokens"], b["input_tokens"], a["output_tokens"], b["output_tokens"]):
        return False
    cache = (a["cache_read_input_tokens"] or 0) + (a["cache_write_input_tokens"] or 0)
    more_input = (a["input_tokens"] or 0) - (b["input_tokens"] or 0)
    more_output = (a["output_tokens"] or 0) - (b["output_tokens"] or 0)
    is_input = more_input == 0 or (more_input == cache and not _has_cache(b))
    is_output = more_output == 0 or (more_output == a["reasoning_output_tokens"] and not b["reasoning_output_tokens"])
    return is_input and is_output and (more_input > 0 or more_output > 0)


def _has_cache(usage: dict[str, int | None]) -> bool:
    return bool(usage["cache_read_input_tokens"] or usage["cache_write_input_tokens"])


def _set_claim(call: Call, told: list[Call]) -> None:
    """A provider's bill goes before a sender's own sum. Where our own service measured the call, only the bill that it
    saw is one."""
    is_ours = any(one.is_own and one.measured for one in told)
    claims: list[tuple[bool, bool, Decimal]] = [
        (one.claim_source == "provider" and (one.is_own or not is_ours), one.is_own, one.claim_usd)
        for one in told
        if one.claim_usd is not None
    ]
    if not claims:
        return
    is_bill, _, amount = max(claims)
    call.claim_usd, call.claim_source = amount, "provider" if is_bill else "local"


def _set_role(call: Call, told: list[Call]) -> None:
    roles = [one for one in told if one.role in CALL_ROLES]
    if roles:
        chosen = min(roles, key=lambda one: (not one.is_own, one.level, one.role, one.operation))
        call.role, call.operation = chosen.role, chosen.operation


def _providers(told: list[Call]) -> list[str]:
    """The names of who answered, the most believable first: our own service's, one by its own host, one that is a
    provider's name, a gateway's or host's name."""
    ranked = sorted(
        (one for one in told if one.provider),
        key=lambda one: (not one.is_own, not one.by_host, not one.is_named, one.provider),
    )
    return list(dict.fromkeys(one.provider for one in ranked))


def _models(told: list[Call]) -> list[str]:
    """The models that answered: our own service's, then one that was not merely asked for, then the most particular."""
    ranked = sorted(
        (one for one in told if one.response_model),
        key=lambda one: (
            not one.is_own,
            one.response_model == one.request_model,
            -len(one.response_model),
            one.response_model,
        ),
    )
    return list(dict.fromkeys(one.response_model for one in ranked))
