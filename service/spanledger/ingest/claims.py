"""Prevents senders from using scope names that are reserved for this service.

Settlement prefers spans of scopes `spanledger…` to others (docs/dialects.md, "Who is believed"). Only the exporter of
this service, which sends the operator's token, and admins of a tenant may use such a name. In other bodies it is
renamed."""

from google.protobuf.message import DecodeError

from spanledger.dialects.tables import OWN_SCOPE
from spanledger.ingest.probe import scope_names
from spanledger.ingest.signals import Signal

MARK = "claimed:"
_OWN = OWN_SCOPE.encode()
_PARTS = {"traces": ("resource_spans", "scope_spans"), "logs": ("resource_logs", "scope_logs")}


def could_claim(signal: Signal, body: bytes) -> bool:
    """Whether a body names a scope of ours. Many bodies have our word in attributes alone."""
    if _OWN not in body or signal.name not in _PARTS:
        return False
    try:
        return any(name.startswith(_OWN) for name in scope_names(signal.name, body))
    except DecodeError:
        return True


def marked(signal: Signal, body: bytes) -> bytes:
    """A valid protobuf body in which no scope has a name of ours."""
    if not could_claim(signal, body):
        return body
    of_resource, of_scope = _PARTS[signal.name]
    message = signal.request.FromString(body)
    for resource in getattr(message, of_resource):
        for part in getattr(resource, of_scope):
            if part.scope.name.startswith(OWN_SCOPE):
                part.scope.name = MARK + part.scope.name
    # Written anew in any case: a body may tell a scope twice, and another reader may take the other one.
    return bytes(message.SerializeToString())
