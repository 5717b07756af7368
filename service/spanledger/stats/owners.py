"""Users and tenants with what they used in a window, in any order."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from spanledger.errors import BadRequest
from spanledger.stats.cursors import read_place, write_place
from spanledger.stats.fields import Money
from spanledger.stats.times import ALL_TIME, Window, format_time
from spanledger.stats.usage import Usage, decimal_text, usage_of
from spanledger.store import queries
from spanledger.store.client import Store

Sort = Literal["cost", "-cost", "tokens", "-tokens", "calls", "-calls", "name"]
SORTS: tuple[Sort, ...] = ("cost", "-cost", "tokens", "-tokens", "calls", "-calls", "name")
_AMOUNT = re.compile(r"-?[0-9]{1,22}(\.[0-9]{1,15})?")
_KIND = {"cost": str, "tokens": int, "calls": int, "name": int}


@dataclass(frozen=True)
class DayCost:
    """`day`: YYYY-MM-DD, UTC."""

    day: str
    cost_usd: Money


@dataclass(frozen=True)
class UserLine:
    """`last_at`: when the last day or hour began that is known as a whole, or the last call after it. `trend`: cost by
    day, of up to 90 days of the window that have any; null unless requested."""

    user_id: str
    usage: Usage
    message_count: int
    last_at: str
    trend: list[DayCost] | None


@dataclass(frozen=True)
class UserList:
    """`usage`: what all users that fit used."""

    items: list[UserLine]
    next_cursor: str | None
    usage: Usage
    count: int


@dataclass(frozen=True)
class TenantLine:
    tenant: str
    usage: Usage
    message_count: int
    users: int


@dataclass(frozen=True)
class TenantList:
    items: list[TenantLine]
    usage: Usage


def users(
    store: Store,
    tenant: str,
    window: Window = ALL_TIME,
    prefix: str = "",
    sort: Sort = "-cost",
    limit: int = 50,
    cursor: str | None = None,
    trend: bool = False,
) -> UserList:
    """Users with a call or message in the window; `prefix`: whose id begins so; `trend`: with their cost by day. Raises
    BadRequest."""
    if sort not in SORTS:
        raise BadRequest(f"sort={sort!r} is unknown; it can be {', '.join(SORTS)}")
    by, sign = sort.removeprefix("-"), -1 if sort.startswith("-") else 1
    parameters = {"tenant": tenant, "prefix": prefix, "by": by, "sign": sign, **window.split_days()}
    rows = store.dicts(queries.sql("users_page"), {**parameters, **_after(cursor, by, sign), "limit": limit + 1})
    page = rows[:limit]
    trends = _trends(store, tenant, window, [row["user_id"] for row in page]) if trend and page else {}
    if cursor and not rows:  # past the last user: the totals are columns of a user's row
        rows = store.dicts(queries.sql("users_page"), {**parameters, **_after(None, by, sign), "limit": 1})
    return UserList(
        items=[
            UserLine(
                row["user_id"],
                usage_of(row),
                row["messages"],
                format_time(row["last_s"] * 10**9),
                trends.get(row["user_id"], []) if trend else None,
            )
            for row in page
        ],
        next_cursor=write_place([_place(sign * page[-1]["value"], by), page[-1]["user_id"]])
        if len(rows) > limit
        else None,
        usage=usage_of({name: rows[0][f"all_{name}"] for name in _SUMMED} if rows else _NOTHING),
        count=rows[0]["all_users"] if rows else 0,
    )


def _after(cursor: str | None, by: str, sign: int) -> dict[str, Any]:
    """The parameters of a place behind a user, and behind none."""
    position, name = read_place(cursor, (_KIND[by], str)) if cursor else (0, "")
    if not _AMOUNT.fullmatch(str(position)):
        raise BadRequest("cursor is not one that this API gave out; leave it away to start over")
    return {"has_after": int(cursor is not None), "after_value": sign * Decimal(position), "after_name": name}


def _trends(store: Store, tenant: str, window: Window, users: list[str]) -> dict[str, list[DayCost]]:
    """Cost by day, the oldest day first."""
    found: dict[str, list[DayCost]] = {}
    for row in store.dicts(queries.sql("users_trend"), {"tenant": tenant, "users": users, **window.bounds()}):
        found.setdefault(row["user_id"], []).insert(0, DayCost(row["on_day"], decimal_text(row["cost_usd"])))
    return found


def tenants(store: Store, window: Window = ALL_TIME) -> TenantList:
    """Every tenant with its usage, for the operator of this machine."""
    rows = store.dicts(queries.sql("tenants"), window.split_days())
    whole = {name: sum((row[name] for row in rows), Decimal(0) if name == "cost_usd" else 0) for name in _SUMMED}
    lines = [TenantLine(row["tenant"], usage_of(row), row["messages"], row["users"]) for row in rows]
    return TenantList(lines, usage_of(whole))


def _place(value: Decimal, by: str) -> int | str:
    return format(value, "f") if by == "cost" else int(value)


_SUMMED = (
    *("llm_calls", "failed_calls", "input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
    *("output_tokens", "reasoning_output_tokens", "cost_usd"),
    *("billed_calls", "computed_calls", "estimated_calls", "unpriced_calls"),
)
_NOTHING = {name: Decimal(0) if name == "cost_usd" else 0 for name in _SUMMED}
