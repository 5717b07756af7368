"""Limits and budgets as people set them: whose calls they bound, by how much, and what happens beyond."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, get_args

from spanledger.errors import BadRequest
from spanledger.foreign import amounts
from spanledger.principal import DEFAULT_TENANT
from spanledger.store.registry import Entry, Registry

if TYPE_CHECKING:
    from spanledger.workflows.run import Order

KIND = "limit"
Scope = Literal["user", "tenant", "key", "workflow"]
Action = Literal["block", "warn"]
Measure = Literal["requests_per_minute", "tokens_per_day", "usd_per_day", "usd_per_month"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
ACTIONS: tuple[Action, ...] = get_args(Action)
MEASURES: tuple[Measure, ...] = get_args(Measure)
_WHOLE = frozenset({"requests_per_minute", "tokens_per_day"})
_MOST = Decimal(10) ** 15


@dataclass(frozen=True)
class Limit:
    """`match` is a name or a pattern; each subject that it fits (each user, each key …) has the amounts for itself.

    `action`: `block` refuses what is beyond, `warn` only tells.
    """

    tenant: str
    name: str
    version: int
    scope: Scope
    match: str
    amounts: Mapping[Measure, Decimal]
    action: Action

    def subject(self, order: "Order") -> str | None:
        """Whom a run counts for; None: this limit does not concern it. Empty: a user or key that is not named."""
        subject = subject_of(self.scope, order)
        foreign = self.tenant != order.principal.tenant
        if foreign and not (self.scope == "tenant" and self.tenant == DEFAULT_TENANT):
            return None
        return subject if self.subject_fits(subject) else None

    def subject_fits(self, subject: str) -> bool:
        return fnmatchcase(subject, self.match)

    def shown(self) -> dict[str, Any]:
        """As people and the API see it: money as a text, counts as numbers."""
        amounts: dict[str, Any] = {
            name: int(amount) if name in _WHOLE else format(amount, "f") for name, amount in self.amounts.items()
        }
        facts = {"name": self.name, "version": self.version, "scope": self.scope, "match": self.match}
        return {**facts, **amounts, "action": self.action}


def subject_of(scope: Scope, order: "Order") -> str:
    match scope:
        case "tenant":
            return order.principal.tenant
        case "user":
            return order.user_id
        case "key":
            return order.principal.key_id
        case "workflow":
            return order.workflow


def body_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the registry keeps of a limit, amounts as texts. Raises BadRequest."""
    scope, action = given.get("scope"), given.get("action") or "block"
    if scope not in SCOPES:
        raise BadRequest(f"scope={scope!r} is unknown; it can be {', '.join(SCOPES)}")
    if action not in ACTIONS:
        raise BadRequest(f"action={action!r} is unknown; it can be {', '.join(ACTIONS)}")
    given_amounts = {name: _amount(name, given[name]) for name in MEASURES if given.get(name) is not None}
    if not given_amounts:
        raise BadRequest(f"a limit needs at least one of {', '.join(MEASURES)}")
    return {"scope": scope, "match": str(given.get("match") or "*"), "action": action, "amounts": given_amounts}


def _amount(name: str, value: Any) -> str:
    amount = amounts.parse(value)
    if amount is None:
        raise BadRequest(f"{name}={str(value)[:40]!r} is not a number of at most 30 digits before and behind the point")
    if not 0 <= amount <= _MOST:
        raise BadRequest(f"{name} must be from 0 to {_MOST:f}")
    if name in _WHOLE and amount != amount.to_integral_value():
        raise BadRequest(f"{name} must be a whole number")
    return format(amount, "f")


class LimitBook:
    """The limits of all tenants, as they are now."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._seen: tuple[int, int] | None = None
        self._limits: dict[str, list[Limit]] = {}

    def of_tenant(self, tenant: str) -> Sequence[Limit]:
        """Those that a tenant set, by name."""
        state = self._registry.state()
        if state != self._seen:
            limits: dict[str, list[Limit]] = {}
            for entry in self._registry.everywhere(KIND):
                limits.setdefault(entry.tenant, []).append(limit_of(entry))
            self._limits, self._seen = limits, state
        return self._limits.get(tenant, ())

    def on_tenant(self, tenant: str) -> Sequence[Limit]:
        """Limits that the operator set for a whole tenant; the tenant can see but not change them."""
        if tenant == DEFAULT_TENANT:
            return ()
        ours = self.of_tenant(DEFAULT_TENANT)
        return [limit for limit in ours if limit.scope == "tenant" and fnmatchcase(tenant, limit.match)]

    def concerning(self, order: "Order") -> list[tuple[Limit, str]]:
        """The limits of a run, each with its subject."""
        tenant = order.principal.tenant
        limits = [*self.of_tenant(tenant), *self.on_tenant(tenant)]
        found = ((limit, limit.subject(order)) for limit in limits)
        return [(limit, subject) for limit, subject in found if subject is not None]


def limit_of(entry: Entry) -> Limit:
    body = entry.body
    amounts: dict[Measure, Decimal] = {
        name: Decimal(body["amounts"][name]) for name in MEASURES if name in body["amounts"]
    }
    return Limit(entry.tenant, entry.name, entry.version, body["scope"], body["match"], amounts, body["action"])
