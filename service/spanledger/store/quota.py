"""How many things of a kind a tenant may have in the registry, and how many versions of one of them."""

from dataclasses import dataclass
from typing import Any, Final

from spanledger.errors import BadRequest

# Every run reads all experiments, evaluators and MCP servers, so their quota is a fiftieth. Preferences: one per user.
_SHARES: Final = {"experiment": 0.02, "evaluator": 0.02, "mcp_server": 0.02, "preferences": 100.0}
# The service's own books: what was erased must stay erased, however often that was.
_UNBOUNDED: Final = frozenset({"erasure", "retention"})
# Kinds whose earlier versions can be read. Of the others, the earliest one makes room for a new one.
READABLE: Final = frozenset({"prompt", "experiment"})


class QuotaExceeded(BadRequest):
    """`quota` is the setting that says how many are `allowed`."""

    title = "Quota used up"
    error_type = "quota_exceeded"

    def __init__(self, message: str, quota: str, allowed: int) -> None:
        super().__init__(message)
        self.members: dict[str, Any] = {"quota": quota, "allowed": allowed}


@dataclass(frozen=True, slots=True)
class Quota:
    """0: no limit."""

    objects: int = 0
    versions: int = 0

    def objects_of(self, kind: str) -> int:
        """Of one tenant; 0: no limit."""
        if not self.objects or kind in _UNBOUNDED:
            return 0
        return max(1, int(self.objects * _SHARES.get(kind, 1.0)))

    def versions_of(self, kind: str) -> int:
        """Of one of them; 0: no limit."""
        return 0 if kind in _UNBOUNDED else self.versions

    def check_objects(self, kind: str, count: int) -> None:
        """Checks that a tenant with `count` objects may create one more. Raises QuotaExceeded."""
        allowed = self.objects_of(kind)
        if allowed and count >= allowed:
            what = kind.replace("_", " ").replace("-", " ")
            raise QuotaExceeded(
                f"there are {count} entries of kind {what} already, as many as a tenant may have; remove some, or ask"
                " the operator of this service to raise SPANLEDGER_TENANT_OBJECTS",
                "tenant_objects",
                allowed,
            )

    def check_versions(self, kind: str, name: str, count: int) -> None:
        """Checks that an object with `count` versions may get one more. Raises QuotaExceeded."""
        allowed = self.versions_of(kind)
        if allowed and count >= allowed:
            raise QuotaExceeded(
                f"{kind} {name[:100]!r} has {count} versions already, as many as one may have; give what follows"
                " another name, or ask the operator of this service to raise SPANLEDGER_OBJECT_VERSIONS",
                "object_versions",
                allowed,
            )
