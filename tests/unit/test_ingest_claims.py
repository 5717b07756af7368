"""Who may tell of spans as our own service's: our own exporter and admins, nobody else."""

from pathlib import Path

import pytest
from google.protobuf.message import Message

from otlp_make import log_request, trace_request
from spanledger.access.authentication import Authentication
from spanledger.access.keys import KeyRing
from spanledger.ingest import claims
from spanledger.ingest.records import varint
from spanledger.ingest.senders import Senders
from spanledger.ingest.signals import SIGNALS, Signal
from spanledger.store.registry import Registry

TRACES, LOGS = SIGNALS["traces"], SIGNALS["logs"]


def traces(scope: str) -> bytes:
    request = trace_request({})
    request.resource_spans[0].scope_spans[0].scope.name = scope
    return request.SerializeToString()


def logs(scope: str) -> bytes:
    request = log_request("x", bytes(15) + b"1")
    request.resource_logs[0].scope_logs[0].scope.name = scope
    return request.SerializeToString()


def scopes(signal: Signal, body: bytes) -> list[str]:
    request: Message = signal.request.FromString(body)
    of_resource, of_scope = ("resource_spans", "scope_spans") if signal is TRACES else ("resource_logs", "scope_logs")
    return [part.scope.name for resource in getattr(request, of_resource) for part in getattr(resource, of_scope)]


@pytest.mark.parametrize(("signal", "make"), [(TRACES, traces), (LOGS, logs)])
def test_a_scope_of_ours_is_marked_and_others_stay(signal: Signal, make: type) -> None:
    assert scopes(signal, claims.marked(signal, make("spanledger.genai"))) == ["claimed:spanledger.genai"]
    assert scopes(signal, claims.marked(signal, make("spanledger"))) == ["claimed:spanledger"]
    other = make("openinference.instrumentation.openai")
    assert claims.marked(signal, other) is other


def test_our_word_elsewhere_is_no_claim_and_costs_no_second_reading() -> None:
    request = trace_request({"name": "spanledger"}, {"attributes": {"spanledger.message.id": "m", "x": "spanledger"}})
    request.resource_spans[0].resource.attributes.add(key="spanledger.tenant").value.string_value = "spanledger"
    scope = request.resource_spans[0].scope_spans[0].scope
    scope.name, scope.version = "my.spanledger", "spanledger"
    scope.attributes.add(key="spanledger").value.string_value = "spanledger"
    body = request.SerializeToString()
    assert claims.marked(TRACES, body) is body
    request.resource_spans.add().scope_spans.add().scope.name = "spanledger.genai"
    marked = scopes(TRACES, claims.marked(TRACES, request.SerializeToString()))
    assert marked == ["my.spanledger", "claimed:spanledger.genai"]


def test_a_scope_that_is_told_twice_is_one_scope_afterwards() -> None:
    """Readers differ in which of several they take."""

    def field(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    twice = field(1, field(1, b"spanledger.genai")) + field(1, field(1, b"other"))
    body = claims.marked(TRACES, field(1, field(2, twice)))
    assert b"spanledger" not in body
    assert scopes(TRACES, body) == ["other"]


def test_the_token_and_admins_may_use_our_names(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    ring = KeyRing(registry)
    senders = Senders(Authentication(ring, required=False, operator_token="op_secret"))
    keys = {role: ring.create("acme", role)[1] for role in ("ingest", "chat", "admin")}
    assert senders.of("Bearer op_secret", None).is_ours
    assert not senders.of(None, None).is_ours
    assert [senders.of(f"Bearer {keys[role]}", None).is_ours for role in ("ingest", "chat", "admin")] == [
        False,
        False,
        True,
    ]
    registry.close()
