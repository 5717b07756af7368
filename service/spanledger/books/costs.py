"""The interface through which settlement asks for prices."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from spanledger.books.calls import Call
from spanledger.pricing import Step


@dataclass(frozen=True, slots=True)
class Cost:
    """A call's price: state billed | computed | estimated | unpriced, the amount, and the price book that said so;
    `flags`: what was odd or missing (pricing.cost)."""

    state: str
    usd: Decimal
    book: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tariff:
    """What calls of one sort cost, all of them: the price book's version and the steps of its price, none: unpriced."""

    book: str
    steps: tuple[Step, ...] | None


@dataclass(frozen=True, slots=True)
class Sort:
    """Calls that ask for one price: who served what, at which tier, and when the first and the last one started."""

    provider: str
    request_model: str
    response_model: str
    service_tier: str
    first_ns: int
    last_ns: int


class Prices(Protocol):
    """Prices as settlement needs them."""

    def cost(self, call: Call) -> Cost: ...

    def tariff(self, sort: Sort) -> Tariff | None:
        """What all calls of a sort cost; None where that takes a look at each (`cost`)."""
        ...
