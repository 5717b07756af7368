"""Counts that the OTLP worker processes report about their senders, for the audit trail."""

from collections.abc import Callable, Mapping

from spanledger.access.keys import KeyRing
from spanledger.access.reports import Reports
from spanledger.telemetry import audit

_TARGET = "otlp"
_REFUSALS = {401: "key.refuse", 403: "permission.refuse"}
_INVALID = frozenset({400, 408, 413, 415})


class DoorWatch:
    """`senders` gives requests since the start by `<key id>/<HTTP status>`."""

    def __init__(self, ring: KeyRing, reports: Reports, senders: Callable[[], Mapping[str, int]]) -> None:
        self._ring = ring
        self._reports = reports
        self._senders = senders
        self._seen: dict[str, int] = {}

    def look(self) -> None:
        counts = self._senders()
        if counts == self._seen:
            return
        owners = {key.key_id: key.tenant for key in self._ring.list(None)}
        for name, count in counts.items():
            more = count - self._seen.get(name, 0)
            if more > 0:
                key_id, _, status = name.partition("/")
                known = key_id if key_id in owners else ""
                self._note(known, owners.get(key_id, ""), int(status), more)
        self._seen = dict(counts)

    def _note(self, key_id: str, tenant: str, status: int, count: int) -> None:
        who = {"tenant": tenant, "key_id": key_id}
        if status == 200 and key_id:
            self._reports.note(audit.AUDIT, "key.use", "allowed", **who, count=count, target=_TARGET)
        elif status in _REFUSALS:
            action = _REFUSALS[status]
            self._reports.note(audit.SECURITY, action, "denied", **who, count=count, target=_TARGET, status=status)
        elif status in _INVALID:
            self._reports.note(
                audit.SECURITY, "request.validate", "failed", **who, count=count, target=_TARGET, status=status
            )
