"""Answers of the OTLP endpoint: success, partial success and error bodies, in the encoding of the request."""

from dataclasses import dataclass
from typing import Literal

import orjson

from spanledger.ingest.records import varint
from spanledger.ingest.signals import Signal

Encoding = Literal["protobuf", "json"]
CONTENT_TYPES: dict[Encoding, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}

# google.rpc.Code
INVALID_ARGUMENT, UNIMPLEMENTED, RESOURCE_EXHAUSTED, UNAVAILABLE, INTERNAL = 3, 12, 8, 14, 13
PERMISSION_DENIED, UNAUTHENTICATED = 7, 16
_HTTP_TO_RPC = {400: INVALID_ARGUMENT, 413: INVALID_ARGUMENT, 415: INVALID_ARGUMENT, 429: RESOURCE_EXHAUSTED}
_HTTP_TO_RPC |= {401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 421: PERMISSION_DENIED}
_HTTP_TO_RPC |= {404: UNIMPLEMENTED, 405: UNIMPLEMENTED, 500: INTERNAL, 503: UNAVAILABLE}


@dataclass(frozen=True)
class Answer:
    """An answer before it is encoded. `retry_after` in seconds, 0 when repeating makes no sense."""

    status: int
    message: str = ""
    accepted: int = 0
    rejected: int = 0
    retry_after: int = 0

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def rpc_code(self) -> int:
        return 0 if self.ok else _HTTP_TO_RPC.get(self.status, INTERNAL)

    def body(self, signal: Signal | None, encoding: Encoding) -> bytes:
        """The message to send: an export response, or a google.rpc.Status."""
        if not self.ok:
            return self._status(encoding)
        if not self.rejected and not self.message:
            return b"{}" if encoding == "json" else b""
        if encoding == "json":
            partial: dict[str, str] = {"errorMessage": self.message}
            if signal is not None and self.rejected:
                partial[signal.rejected_field] = str(self.rejected)
            return orjson.dumps({"partialSuccess": partial})
        count = b"\x08" + varint(self.rejected) if self.rejected else b""
        return _field(1, count + _field(2, self.message.encode()))

    def _status(self, encoding: Encoding) -> bytes:
        if encoding == "json":
            status: dict[str, object] = {"code": self.rpc_code, "message": self.message}
            if self.retry_after:
                kind = "type.googleapis.com/google.rpc.RetryInfo"
                status["details"] = [{"@type": kind, "retryDelay": f"{self.retry_after}s"}]
            return orjson.dumps(status)
        return self.rpc_status()

    def rpc_status(self) -> bytes:
        """google.rpc.Status, with RetryInfo where repeating makes sense."""
        details = b""
        if self.retry_after:
            delay = _field(1, b"\x08" + varint(self.retry_after))
            details = _field(3, _field(1, b"type.googleapis.com/google.rpc.RetryInfo") + _field(2, delay))
        return b"\x08" + varint(self.rpc_code) + _field(2, self.message.encode()) + details


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content
