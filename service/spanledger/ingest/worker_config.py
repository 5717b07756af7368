"""The argument of a worker process; a module of its own, so that the parent imports no library of the worker."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Config:
    """What the parent tells a worker, as JSON in its argument. File descriptors are inherited ones."""

    parent_pid: int
    control_fd: int
    listener_fds: list[int]
    grpc: bool
    data_dir: str
    durable: bool
    max_body_bytes: int
    spool_max_bytes: int
    min_free_bytes: int
    quota: dict[str, Any]  # fields of limits.Quota
    require_keys: bool
    masks: dict[str, str]  # actions of the built-in rules
    mask_rules: str = ""
    cors_origin: str = ""
    host: str = ""  # with allowed_hosts: the names of this service
    allowed_hosts: str = ""
