"""Profiles and users' preferences: defaults of a run where the request sets nothing."""

import logging
from collections.abc import Mapping
from typing import Any

from spanledger.configuration.references import References
from spanledger.errors import BadRequest
from spanledger.store.registry import Entry, Registry
from spanledger.workflows.run import Order

PROFILE, PREFERENCES = "profile", "preferences"
_log = logging.getLogger(__name__)


class UnknownProfile(BadRequest):
    title = "Unknown profile"
    status = 422
    error_type = "unknown_profile"


class Profiles:
    """Two steps: the profile that the order (or else its user) names, then the user's own wishes."""

    def __init__(self, registry: Registry, references: References) -> None:
        self._registry = registry
        self._references = references

    def put(self, tenant: str, name: str, body: Mapping[str, Any], by: str) -> Entry:
        """A new version of a profile, or the present one if nothing changed. Raises UnknownReference."""
        self._references.check(tenant, body)
        return self._registry.put(tenant, PROFILE, name, body, by)

    def put_preferences(self, tenant: str, user_id: str, body: Mapping[str, Any], by: str) -> Entry:
        """Replaces a user's wishes. Raises UnknownReference."""
        self._references.check(tenant, body)
        return self._registry.put(tenant, PREFERENCES, user_id, body, by)

    def preferences(self, tenant: str, user_id: str) -> Mapping[str, Any]:
        """A user's preferences; empty for a user without any."""
        entry = self._registry.get(tenant, PREFERENCES, user_id) if user_id else None
        return {} if entry is None else entry.body

    def decide_by_profile(self, order: Order) -> Order:
        """Raises UnknownProfile for one that the order itself names; a user's that is gone is as good as none."""
        tenant = order.principal.tenant
        name = order.profile or self._wishes(order).get("profile") or ""
        entry = self._registry.get(tenant, PROFILE, name) if name else None
        if entry is None:
            if order.profile:
                raise UnknownProfile(f"there is no profile {order.profile[:100]!r}")
            if name:
                _log.warning("the profile %r that a user prefers is gone", name)
            return order
        body = entry.body
        return order.completed(
            profile=name,
            model=body.get("model") or "",
            fallbacks=tuple(body.get("fallbacks") or ()),
            parameters=body.get("parameters") or {},
            memory=body.get("memory") or {},
            cache=body.get("cache"),
            instructions="" if order.prompt else body.get("instructions") or "",
        )

    def decide_by_preferences(self, order: Order) -> Order:
        """Language and tone are added to whatever the instructions turn out to be."""
        wishes = self._wishes(order)
        if not wishes:
            return order
        guidance = [f"Answer in the language {wishes['language']}."] if wishes.get("language") else []
        guidance += [f"Use a {wishes['tone']} tone."] if wishes.get("tone") else []
        return order.completed(
            model=wishes.get("model") or "",
            memory=wishes.get("memory") or {},
            cache=wishes.get("cache"),
            guidance=" ".join(guidance),
        )

    def _wishes(self, order: Order) -> Mapping[str, Any]:
        return self.preferences(order.principal.tenant, order.user_id) if order.for_people else {}
