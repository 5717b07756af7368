"""OTLP bodies that are not loaded yet, without what is erased: in dead letters and in exports that wait."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from spanledger.dialects.tables import tables
from spanledger.erasure.attributes import TEXTS
from spanledger.erasure.subject import Extent, Subject, pattern_of
from spanledger.ingest.signals import Signal

_LONGEST = 256
_ID_FIELDS = {
    "user": ("user_id", "bare_user_id"),
    "conversation": ("conversation_id", "bare_conversation_id"),
    "trace": (),
}


@dataclass(frozen=True)
class Rewriter:
    """For one erasure: `traces` are the ids of its traces, as they are written in tables."""

    subject: Subject
    extent: Extent
    pseudonym: str
    traces: Collection[str]

    def mentions(self, data: bytes) -> bool:
        """Whether bytes hold the id of the subject or of one of its traces."""
        raw = (bytes.fromhex(trace) for trace in self.traces if re.fullmatch("[0-9a-f]{32}", trace))
        return self.subject.value.encode() in data or any(trace in data for trace in raw)

    def rewrite(self, signal: Signal, body: bytes) -> bytes | None:
        """None when it cannot be read. A body that holds nothing of the subject stays as it is."""
        if not self.mentions(body):
            return body
        try:
            request: Any = signal.request.FromString(body)
        except DecodeError:
            return None
        if signal.name == "metrics":
            if self.extent != "content":
                self._replace(request)
            return bytes(request.SerializeToString())
        holders, scopes, items = _NAMES[signal.name]
        everything = [i for r in getattr(request, holders) for s in getattr(r, scopes) for i in getattr(s, items)]
        traces = set(self.traces) | {item.trace_id.hex() for item in everything if self._names(item.attributes)}
        for resource in getattr(request, holders):
            for scope in getattr(resource, scopes):
                self._rewrite_items(getattr(scope, items), traces)
        if self.extent != "content":
            self._replace(request)
        return bytes(request.SerializeToString())

    def _rewrite_items(self, items: Any, traces: set[str]) -> None:
        kept = []
        for item in items:
            ours = item.trace_id.hex() in traces or self._names(item.attributes)
            if ours and self.extent == "everything":
                continue
            if ours and self.extent == "content":
                _drop_content(item)
            kept.append(type(item).FromString(item.SerializeToString()))
        del items[:]
        items.extend(kept)

    def _names(self, attributes: Any) -> bool:
        return any(
            one.value.string_value == self.subject.value and _field(one.key) in _ID_FIELDS[self.subject.kind]
            for one in attributes
        )

    def _replace(self, message: Any) -> None:
        """Puts the pseudonym into all texts of a message."""
        if self.subject.kind == "trace":
            return
        value, pattern = self.subject.value, pattern_of(self.subject.value)
        for field, held in message.ListFields():
            if field.type == field.TYPE_MESSAGE:
                for inner in held if field.is_repeated else (held,):
                    self._replace(inner)
            elif field.type == field.TYPE_STRING and not field.is_repeated and field.name in _TEXT_FIELDS:
                if held == value:
                    setattr(message, field.name, self.pseudonym)
                elif pattern:
                    setattr(message, field.name, re.sub(pattern, self.pseudonym, held))


_NAMES = {
    "traces": ("resource_spans", "scope_spans", "spans"),
    "logs": ("resource_logs", "scope_logs", "log_records"),
}
_TEXT_FIELDS = frozenset({"string_value", "name", "message"})


def _field(key: str) -> str:
    place = tables().place(key)
    return place[0] if place else ""


def _drop_content(item: Any) -> None:
    """Attributes that the books read stay, as in `attributes.kept_of_span`."""
    _keep(item.attributes)
    for name in ("events", "links"):
        for inner in getattr(item, name, ()):
            del inner.attributes[:]
    if hasattr(item, "status"):
        item.status.message = ""
    if item.DESCRIPTOR.name == "LogRecord":
        item.ClearField("body")


def _keep(attributes: Any) -> None:
    kept = []
    for one in attributes:
        field = _field(one.key)
        known = (field and field not in TEXTS) or one.key.startswith("spanledger.")
        short = len(one.value.string_value) <= _LONGEST and not one.value.string_value.lstrip().startswith("{")
        if known and short and one.value.WhichOneof("value") not in ("kvlist_value", "bytes_value"):
            kept.append(type(one).FromString(one.SerializeToString()))
    del attributes[:]
    attributes.extend(kept)
