"""Who makes a request."""

from dataclasses import dataclass
from typing import Literal

DEFAULT_TENANT = "default"
Role = Literal["ingest", "chat", "read", "admin"]


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a key. Everything it reads and writes belongs to its tenant.

    `operator`: the person who runs this machine, needs no key and may also do what concerns all tenants. `has_token`:
    it came with the operator's token, as our own processes do.
    """

    tenant: str = DEFAULT_TENANT
    key_id: str = ""  # empty: no key was needed, the caller is on this machine
    role: Role = "admin"
    operator: bool = False
    has_token: bool = False


LOCAL = Principal(operator=True)
OURS = Principal(operator=True, has_token=True)
