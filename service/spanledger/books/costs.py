"""What settlement asks of prices."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from spanledger.books.calls import Call


@dataclass(frozen=True, slots=True)
class Cost:
    """A call's price: state billed | computed | estimated | unpriced, the amount, and the price book that said so;
    `flags`: what was odd or missing (pricing.cost)."""

    state: str
    usd: Decimal
    book: str
    flags: tuple[str, ...] = ()


class Prices(Protocol):
    """Prices as settlement needs them."""

    def cost(self, call: Call) -> Cost: ...
