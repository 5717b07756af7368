"""Access control: principals, keys, permissions, limits and budgets."""

from spanledger.principal import DEFAULT_TENANT, LOCAL, Principal

__all__ = ["DEFAULT_TENANT", "LOCAL", "Principal"]
