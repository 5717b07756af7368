"""Keys, limits and budgets."""

from typing import Annotated, Literal

from pydantic import Field

from spanledger.access.limits import Action, Scope
from spanledger.api.schemas.common import Answer
from spanledger.principal import Role
from spanledger.stats.fields import Moment, Money, OrNull, Time


class Key(Answer):
    """A key without its secret."""

    key_id: str
    tenant: str
    role: Role
    name: str
    created_at: Moment
    created_by: OrNull
    expires_at: Moment | None
    revoked_at: Moment | None


class CreatedKey(Key):
    key: Annotated[str, Field(description="The secret. It is shown here and never again.")]
    notice: Annotated[str | None, Field(description="What the first key changes for everybody.")]


class Limit(Answer):
    """Amounts that are absent are not limited."""

    name: str
    version: int
    scope: Scope
    match: str
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    usd_per_day: Money | None = None
    usd_per_month: Money | None = None
    action: Action


class CountUsed(Answer):
    """`share` of what is allowed; `running`: the part of `used` that is not in the books yet: calls that run, and what
    they have reserved. `burn_rate`: the share at the end of the period if it goes on so; `exhausted_at`: when all is
    used up if it goes on so, null where that is not before `reset_at` or has happened."""

    used: int
    running: int
    allowed: int
    share: float | None
    burn_rate: float | None
    exhausted_at: Time | None
    reset_at: Time


class MoneyUsed(CountUsed):
    used: Money  # type: ignore[assignment]
    running: Money  # type: ignore[assignment]
    allowed: Money  # type: ignore[assignment]


class LimitUsage(Answer):
    """What one subject has used."""

    subject: str
    unpriced_calls: int
    requests_per_minute: CountUsed | None = None
    tokens_per_day: CountUsed | None = None
    usd_per_day: MoneyUsed | None = None
    usd_per_month: MoneyUsed | None = None


class LimitWithUsage(Limit):
    set_by: Literal["tenant", "operator"]
    usage: list[LimitUsage]
