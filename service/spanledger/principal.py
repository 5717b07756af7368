"""Who makes a request."""

from dataclasses import dataclass
from typing import Literal

DEFAULT_TENANT = "default"
Role = Literal["ingest", "chat", "read", "admin"]


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a key. Everything it reads and writes belongs to its tenant.

    `operator`: whoever runs this machine, who needs no key and may also do what concerns all tenants.
    """

    tenant: str = DEFAULT_TENANT
    key_id: str = ""  # empty: no key was needed, the caller is on this machine
    role: Role = "admin"
    operator: bool = False


LOCAL = Principal(operator=True)
