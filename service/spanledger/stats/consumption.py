"""Usage of a subject today and this month, from the ledger, for limits and budgets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from spanledger.store import queries
from spanledger.store.client import Store


@dataclass(frozen=True, slots=True)
class Used:
    """`unpriced_*`: calls without a price: they count as tokens, and as no money. `calls`: of the month, failed too."""

    tokens_day: int = 0
    usd_day: Decimal = Decimal(0)
    usd_month: Decimal = Decimal(0)
    unpriced_day: int = 0
    unpriced_month: int = 0
    calls: int = 0

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.tokens_day + other.tokens_day,
            self.usd_day + other.usd_day,
            self.usd_month + other.usd_month,
            self.unpriced_day + other.unpriced_day,
            self.unpriced_month + other.unpriced_month,
            self.calls + other.calls,
        )

    def beyond(self, other: "Used") -> "Used":
        """The amounts by which this exceeds the other."""
        return Used(
            max(0, self.tokens_day - other.tokens_day),
            max(Decimal(0), self.usd_day - other.usd_day),
            max(Decimal(0), self.usd_month - other.usd_month),
        )


def consumption(
    store: Store, tenant: str, scope: str, subject: str, day: datetime, month: datetime, apart: Sequence[str] = ()
) -> dict[str, Used]:
    """By message id for the messages in `apart`; all others together under "". One look at one table: what is not in
    one of them is in the other. `day` and `month` are starts."""
    params = {"tenant": tenant, "scope": scope, "subject": subject, "day": day, "month": month, "apart": list(apart)}
    return {
        row["message"]: Used(
            tokens_day=row["tokens_day"],
            usd_day=row["usd_day"],
            usd_month=row["usd_month"],
            unpriced_day=row["unpriced_day"],
            unpriced_month=row["unpriced_month"],
            calls=row["calls"],
        )
        for row in store.dicts(queries.sql("consumption"), params)
    }
