"""Who may use which tool, as the registry says (kind `tool_grant`).

A grant is named like a tool, `server.*` or `*`; of those that fit, the most specific one counts. Without any, everybody
may. A denial wins over an allowance, and callers that an `allow` does not name are denied. Grants of the operator's
tenant that name tenants hold for those tenants too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from spanledger.principal import DEFAULT_TENANT, Principal
from spanledger.store.registry import Registry

KIND: Final = "tool_grant"
_Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=1000)]


class Who(BaseModel):
    """Some callers: by the user the request is for, the role of its key, its tenant."""

    model_config = ConfigDict(extra="forbid")

    users: _Names = []
    roles: _Names = []
    tenants: _Names = []

    def names(self, principal: Principal, user_id: str) -> bool:
        return user_id in self.users or principal.role in self.roles or principal.tenant in self.tenants


class Grant(BaseModel):
    """`allow` absent: everybody but `deny`. `timeout_s` replaces the tool's own limit for one run."""

    model_config = ConfigDict(extra="forbid")

    allow: Who | None = None
    deny: Who = Who()
    timeout_s: Annotated[float, Field(gt=0, le=3600)] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is safe to tell the caller."""

    allowed: bool
    reason: str = ""
    timeout_s: float | None = None


class Grants:
    """The grants of all tenants."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def decide(self, tool: str, principal: Principal, user_id: str) -> Verdict:
        """Whether this caller may use this tool now."""
        timeout_s = None
        for grant, origin in self._of(tool, principal.tenant):
            timeout_s = grant.timeout_s if timeout_s is None else timeout_s
            if grant.deny.names(principal, user_id):
                return Verdict(False, f"{origin} denies it")
            if grant.allow is not None and not grant.allow.names(principal, user_id):
                return Verdict(False, f"{origin} allows it to others only")
        return Verdict(True, timeout_s=timeout_s)

    def _of(self, tool: str, tenant: str) -> Iterator[tuple[Grant, str]]:
        """The tenant's own grant, then the operator's if it speaks of tenants."""
        if found := self._nearest(tool, tenant):
            yield found
        if tenant != DEFAULT_TENANT and (found := self._nearest(tool, DEFAULT_TENANT)):
            grant, name = found
            if grant.deny.tenants or (grant.allow is not None and grant.allow.tenants):
                yield grant, name

    def _nearest(self, tool: str, tenant: str) -> tuple[Grant, str] | None:
        server = tool.partition(".")[0]
        for name in (tool, f"{server}.*", "*"):
            entry = self._registry.get(tenant, KIND, name)
            if entry is not None:
                return Grant.model_validate(entry.body), f"grant {name!r}"
        return None
