"""A span of our own, sent through the door and read back: the whole way from write to read, measured."""

import secrets
import time
from typing import TYPE_CHECKING

from spanledger.client import exchange
from spanledger.errors import StoreError

if TYPE_CHECKING:
    from spanledger.ingest.service import Ingest
    from spanledger.store.client import Store

TENANT = "spanledger-canary"  # of no user
_TIMEOUT_S = 15.0


def run(ingest: "Ingest", store: "Store") -> int:
    """Milliseconds from sending to being readable. Raises StoreError when that does not happen."""
    trace_id = secrets.token_hex(16)
    started = time.monotonic()
    _send(ingest, _request(trace_id))
    if not ingest.flush(_TIMEOUT_S):
        error = ingest.health()["last_error"]
        raise StoreError(f"the canary was accepted and not loaded: {error or f'not within {_TIMEOUT_S:.0f} s'}")
    found = store.scalar(
        "SELECT count() FROM genai_spans WHERE tenant = {tenant:String} AND trace_id = {trace:String}",
        {"tenant": TENANT, "trace": trace_id},
    )
    if not found:
        raise StoreError("the canary was accepted and loaded, and cannot be read")
    return round((time.monotonic() - started) * 1000)


def _send(ingest: "Ingest", body: bytes) -> None:
    if not ingest.endpoint:
        answer = ingest.submit("traces", body, "application/x-protobuf")
        status, detail = answer.status, answer.message
    else:
        status, _ = exchange(ingest.endpoint, "POST", "/v1/traces", body, "application/x-protobuf", ingest.token)
        detail = f"the door answered {status}"
    if status != 200:
        raise StoreError(f"the canary was refused: {detail}")


def _request(trace_id: str) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    now = time.time_ns()
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add()
    for key, value in (("service.name", "spanledger-canary"), ("spanledger.tenant", TENANT)):
        attribute = spans.resource.attributes.add(key=key)
        attribute.value.string_value = value
    span = spans.scope_spans.add().spans.add(name="canary", start_time_unix_nano=now, end_time_unix_nano=now)
    span.trace_id, span.span_id = bytes.fromhex(trace_id), secrets.token_bytes(8)
    serialized: bytes = request.SerializeToString()
    return serialized
