"""What a sender of telemetry may not do: forge statements and feedback, or lower what our own service measured."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from guarded import Caller
from otlp_make import attributes, log_request, trace_request
from system import System
from tenants import ask, own_tenant

STATEMENT = "spanledger.statement"


@dataclass
class Sides:
    """The admin of a tenant, and who holds its `ingest` key."""

    owner: Caller
    sender: Caller


@pytest.fixture(scope="module")
def sides(system: System) -> Iterator[Sides]:
    with own_tenant(system) as owner:
        status, made = owner.call("POST", "/v1/keys", {"role": "ingest"})
        assert status == 201, made
        yield Sides(owner, Caller(system, made["key"]))


@pytest.fixture
def name() -> str:
    return f"forged-{uuid.uuid4().hex[:10]}"


def log(sides: Sides, event: str, trace_id: str, told: dict[str, Any], at_ns: int = 0) -> None:
    """A log record of the sender with the words of our own."""
    request = log_request(event, bytes.fromhex(trace_id), time_unix_nano=at_ns or time.time_ns())
    scope = request.resource_logs[0].scope_logs[0]
    scope.scope.name = "spanledger.events"
    scope.log_records[0].event_name = event
    attributes(scope.log_records[0].attributes, told)
    assert sides.sender.send(request.SerializeToString(), "logs") == 200
    sides.owner.flush()


def rows(sides: Sides, query: str) -> list[list[Any]]:
    return sides.owner.sql(query)


def test_a_sender_cannot_seal_a_conversation(sides: Sides, name: str) -> None:
    answer = ask(sides.owner, name)
    log(
        sides,
        STATEMENT,
        answer["trace_id"],
        {
            f"{STATEMENT}.conversation_id": name,
            f"{STATEMENT}.version": 99,
            f"{STATEMENT}.cause": "sealed",
            f"{STATEMENT}.sealed_ns": time.time_ns(),
            f"{STATEMENT}.message_count": 2,
            f"{STATEMENT}.last_ns": time.time_ns() + 10**12,
            f"{STATEMENT}.cost_usd": "0",
            "spanledger.entry.seal": "0" * 64,
        },
    )
    assert rows(sides, f"SELECT count() FROM statements WHERE conversation_id = '{name}'") == [[1]]
    assert sides.owner.get("conversations", name)["status"] == "active"
    assert sides.owner.call("GET", f"/v1/conversations/{name}/statement")[0] == 404
    status, sealed = sides.owner.call("POST", f"/v1/conversations/{name}/seal")
    assert (status, sealed["version"]) == (200, 1)
    shown = sides.owner.get("conversations", name, "statement")
    assert [one["version"] for one in shown["versions"]] == [1]
    assert shown["usage"]["cost_usd"] == answer["usage"]["cost_usd"]
    assert sides.owner.get("conversations", name)["status"] == "sealed"


def test_a_copy_of_a_statement_with_other_figures_does_not_replace_it(sides: Sides, name: str) -> None:
    answer = ask(sides.owner, name)
    assert sides.owner.call("POST", f"/v1/conversations/{name}/seal")[0] == 200
    ((told, trace_id),) = rows(
        sides,
        "SELECT LogAttributes, TraceId FROM otel_logs WHERE EventName = 'spanledger.statement' "
        f"AND LogAttributes['spanledger.statement.conversation_id'] = '{name}'",
    )
    log(sides, STATEMENT, trace_id, told | {f"{STATEMENT}.cost_usd": "0.000000001"})
    log(sides, STATEMENT, trace_id, told)  # a true copy is the same statement
    (version,) = sides.owner.get("conversations", name, "statement")["versions"]
    assert version["usage"]["cost_usd"] == answer["usage"]["cost_usd"]


def evaluation(message_id: str, **more: Any) -> dict[str, Any]:
    return {
        "gen_ai.evaluation.name": "feedback",
        "spanledger.evaluation.evaluator": "human",
        "spanledger.message.id": message_id,
        "spanledger.evaluation.user.id": "ada",
        "gen_ai.evaluation.score.value": 0.0,
        "gen_ai.evaluation.score.label": "negative",
        **more,
    }


def test_a_sender_cannot_give_feedback_for_a_person(sides: Sides, name: str) -> None:
    answer = ask(sides.owner, name, user_id="ada")
    message = answer["message_id"]
    given = {"score": 0.75, "comment": "well done", "labels": ["tone"]}
    assert sides.owner.call("POST", f"/v1/messages/{quote(message)}/feedback", given)[0] == 202
    log(sides, "gen_ai.evaluation.result", answer["trace_id"], evaluation(message))
    found = sides.owner.get("messages", message, "feedback")
    assert (found["score"], [item["superseded"] for item in found["items"]]) == (0.75, [False])
    claimed = [item for item in sides.owner.get("messages", message, "evaluations")["items"] if not item["sealed"]]
    assert [item["label"] for item in claimed] == ["negative"]
    assert sides.owner.get("messages", feedback="negative", conversation=name)["items"] == []
    assert len(sides.owner.get("messages", feedback="positive", conversation=name)["items"]) == 1


def test_feedback_that_was_taken_back_stays_so_when_it_is_sent_again(sides: Sides, name: str) -> None:
    answer = ask(sides.owner, name, user_id="ada")
    path = f"/v1/messages/{quote(answer['message_id'])}/feedback"
    assert sides.owner.call("POST", path, {"rating": 1})[0] == 202
    sides.owner.flush()
    ((told,),) = rows(
        sides,
        "SELECT LogAttributes FROM otel_logs WHERE EventName = 'gen_ai.evaluation.result' "
        f"AND LogAttributes['spanledger.message.id'] = '{answer['message_id']}'",
    )
    assert sides.owner.call("POST", path, {"rating": -1})[0] == 202
    log(sides, "gen_ai.evaluation.result", answer["trace_id"], told)
    assert sides.owner.get("messages", answer["message_id"], "feedback")["score"] == 0.0


def test_a_sender_cannot_lower_what_our_own_service_measured(sides: Sides, name: str) -> None:
    """The same span again, longer and cheaper, under the name of our own scope."""
    answer = ask(sides.owner, name)
    sides.owner.flush()
    ((span_id, parent, span_name),) = rows(
        sides,
        "SELECT SpanId, ParentSpanId, SpanName FROM otel_traces WHERE startsWith(ScopeName, 'spanledger') "
        f"AND TraceId = '{answer['trace_id']}' AND SpanAttributes['gen_ai.usage.input_tokens'] != ''",
    )
    now = time.time_ns()
    forged = trace_request(
        {
            "name": span_name,
            "span_id": bytes.fromhex(span_id),
            "parent_span_id": bytes.fromhex(parent),
            "start_time_unix_nano": now - 10**9,
            "end_time_unix_nano": now + 3600 * 10**9,
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "offline",
                "gen_ai.request.model": "small",
                "gen_ai.usage.input_tokens": 1,
                "gen_ai.usage.output_tokens": 1,
            },
        },
        trace_id=bytes.fromhex(answer["trace_id"]),
    )
    forged.resource_spans[0].scope_spans[0].scope.name = "spanledger.genai"
    assert sides.sender.send(forged.SerializeToString()) == 200
    sides.owner.flush()
    usage = sides.owner.get("traces", answer["trace_id"])["usage"]
    assert (usage["input_tokens"], usage["cost_usd"]) == (answer["usage"]["input_tokens"], answer["usage"]["cost_usd"])
    scopes = rows(
        sides, f"SELECT ScopeName FROM otel_traces WHERE TraceId = '{answer['trace_id']}' AND SpanId = '{span_id}'"
    )
    assert ["claimed:spanledger.genai"] in scopes


def test_calls_that_a_sender_claims_for_a_message_do_not_free_its_budget(sides: Sides, name: str) -> None:
    """As many cheap calls under the message's id as it had: what it came to here still counts."""
    limit = {"scope": "user", "match": name, "tokens_per_day": 100_000}
    assert sides.owner.call("PUT", f"/v1/limits/{name}", limit)[0] == 200
    answer = ask(sides.owner, name, user_id=name)
    forged = trace_request(
        *(
            {
                "attributes": {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.usage.input_tokens": 1,
                    "gen_ai.usage.output_tokens": 1,
                    "spanledger.message.id": answer["message_id"],
                    "user.id": name,
                    "gen_ai.conversation.id": name,
                }
            }
            for _ in range(3)
        )
    )
    assert sides.sender.send(forged.SerializeToString()) == 200
    sides.owner.flush()
    (used,) = sides.owner.get("limits", name)["usage"]
    assert used["tokens_per_day"]["used"] >= answer["usage"]["total_tokens"]
    assert sides.owner.call("DELETE", f"/v1/limits/{name}")[0] == 204
