"""Feedback of people and verdicts of evaluators: one event each, in the trace of the answer."""

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from guarded import Caller
from otlp_make import attributes, log_request, trace_request
from system import System
from tenants import ask, own_tenant, put, refused


@pytest.fixture(scope="module")
def tenant(system: System) -> Iterator[Caller]:
    with own_tenant(system) as caller:
        yield caller


@pytest.fixture
def name() -> str:
    return f"f-{uuid.uuid4().hex[:10]}"


def give(tenant: Caller, message_id: str, **feedback: Any) -> dict[str, Any]:
    status, answer = tenant.call("POST", f"/v1/messages/{quote(message_id, safe='')}/feedback", feedback)
    assert status == 202, answer
    assert isinstance(answer, dict)
    return answer


def evaluate(tenant: Caller, message_id: str, *evaluators: str, **words: str) -> list[dict[str, Any]]:
    body = {"evaluators": list(evaluators), **words}
    status, answer = tenant.call("POST", f"/v1/messages/{message_id}/evaluations", body)
    assert status == 200, answer
    items: list[dict[str, Any]] = answer["items"]
    return items


def test_feedback_is_an_event_in_the_trace_of_its_message_and_nothing_else(tenant: Caller, name: str) -> None:
    answer = ask(tenant, f"c-{name}", user_id="ada")
    told = give(tenant, answer["message_id"], rating=1, comment="just right", labels=["tone", "facts"])
    assert told == {"message_id": answer["message_id"], "trace_id": answer["trace_id"], "score": 1.0}
    tenant.flush()

    logs = tenant.get("traces", answer["trace_id"])["logs"]
    event = next(log for log in logs if log["attributes"].get("gen_ai.evaluation.name") == "feedback")
    assert event["attributes"]["gen_ai.evaluation.score.value"] == "1"
    assert event["attributes"]["gen_ai.evaluation.score.label"] == "positive"
    assert event["attributes"]["gen_ai.evaluation.explanation"] == "just right"
    assert event["attributes"]["spanledger.message.id"] == answer["message_id"]
    found = tenant.get("messages", answer["message_id"], "feedback")
    assert found["score"] == 1.0
    (item,) = found["items"]
    assert (item["user_id"], item["tags"], item["superseded"]) == ("ada", ["tone", "facts"], False)


def test_who_says_it_again_replaces_what_they_said_and_history_is_kept(tenant: Caller, name: str) -> None:
    message = ask(tenant, f"c-{name}")["message_id"]
    for user, score in (("ada", 0.2), ("bob", 1.0), ("ada", 0.6)):
        give(tenant, message, score=score, user_id=user)
    tenant.flush()
    found = tenant.get("messages", message, "feedback")
    assert found["score"] == pytest.approx(0.8)
    told = [(item["user_id"], item["score"], item["superseded"]) for item in found["items"]]
    assert told == [("ada", 0.6, False), ("bob", 1.0, False), ("ada", 0.2, True)]


def test_feedback_can_come_at_once_and_after_a_restart_of_everything_else(tenant: Caller, name: str) -> None:
    """Right after the answer the message is not readable yet; nothing is lost for that."""
    message = ask(tenant, f"c-{name}")["message_id"]
    give(tenant, message, rating=-1)
    tenant.flush()
    assert tenant.get("messages", message, "feedback")["score"] == 0.0


def test_feedback_of_a_foreign_applications_message(system: System, name: str) -> None:
    """The message is known from its spans alone."""
    call = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
    ids = {"spanledger.message.id": name, "gen_ai.conversation.id": f"c-{name}"}
    system.export(trace_request({"name": "chat", "attributes": call | ids}).SerializeToString())
    body = json.dumps({"score": 0.5}).encode()
    status, _, answer = system.request("POST", f"/v1/messages/{name}/feedback", body, Content_Type="application/json")
    assert status == 202, answer
    system.flush()
    assert system.get("messages", name, "feedback")["items"][0]["label"] == "neutral"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rating": 0},
        {"rating": 1, "score": 1},
        {"score": 1.5},
        {"score": "NaN"},
        {"rating": 1, "comment": "x" * 10_001},
        {"rating": 1, "labels": ["x" * 65]},
        {"rating": 1, "labels": ["x"] * 21},
        {"rating": 1, "user_id": "x" * 257},
        {"rating": 1, "comment": "\ud800"},
        {"rating": 1, "verdict": "good"},
    ],
)
def test_what_is_no_feedback_is_refused(tenant: Caller, name: str, body: dict[str, Any]) -> None:
    message = ask(tenant, f"c-{name}")["message_id"]
    assert refused(tenant, "POST", f"/v1/messages/{message}/feedback", body)[0] == 422


def test_a_comment_of_ten_thousand_characters_comes_back_whole(tenant: Caller, name: str) -> None:
    message = ask(tenant, f"c-{name}")["message_id"]
    comment = "ä'\"\\\n😀 {{x}} " * 833
    give(tenant, message, rating=1, comment=comment[:10_000])
    tenant.flush()
    assert tenant.get("messages", message, "feedback")["items"][0]["explanation"] == comment[:10_000]


def test_a_message_of_another_tenant_is_not_found(tenant: Caller, name: str, system: System) -> None:
    message = ask(tenant, f"c-{name}")["message_id"]
    tenant.flush()
    with own_tenant(system) as other:
        put(other, "/v1/evaluators/any", {"check": {"kind": "length"}})
        for method, path, body in (
            ("POST", "feedback", {"rating": -1}),
            ("GET", "feedback", None),
            ("GET", "evaluations", None),
            ("POST", "evaluations", {"evaluators": ["any"]}),
        ):
            assert refused(other, method, f"/v1/messages/{message}/{path}", body)[0] == 404
    assert refused(tenant, "POST", "/v1/messages/never-heard-of/feedback", {"rating": 1})[0] == 404
    tenant.flush()
    assert tenant.get("messages", message, "evaluations")["items"] == []


RULES: list[tuple[dict[str, Any], str, float | None]] = [
    ({"kind": "contains", "texts": ["Paris", "london"], "want": "any"}, "I like LONDON", 1.0),
    ({"kind": "contains", "texts": ["Paris", "london"], "want": "all"}, "I like LONDON", 0.0),
    ({"kind": "contains", "texts": ["secret"], "want": "none"}, "nothing here", 1.0),
    ({"kind": "contains", "texts": ["London"], "case_sensitive": True}, "LONDON", 0.0),
    ({"kind": "regex", "pattern": r"^\d{4}-\d{2}$"}, "2026-11", 1.0),
    ({"kind": "regex", "pattern": "sorry", "expect": False}, "sorry, no", 0.0),
    ({"kind": "regex", "pattern": "(a+)+$"}, "a" * 40 + "b", 0.0),
    ({"kind": "regex", "pattern": "^(a|aa)+$"}, "a" * 90 + "b", None),
    ({"kind": "length", "unit": "words", "max": 3}, "one two three four", 0.0),
    ({"kind": "length", "unit": "tokens", "min": 1, "max": 9}, "one two three four", 1.0),
    ({"kind": "json"}, '{"a": 1}', 1.0),
    ({"kind": "json"}, "[" * 100_000, 0.0),
    ({"kind": "json", "schema": {"type": "object", "required": ["b"]}}, '{"a": 1}', 0.0),
]


@pytest.mark.parametrize(("check", "text", "score"), RULES)
def test_rules_judge(tenant: Caller, name: str, check: dict[str, Any], text: str, score: float | None) -> None:
    message = ask(tenant, f"c-{name}")["message_id"]
    put(tenant, f"/v1/evaluators/{name}", {"check": check})
    (said,) = evaluate(tenant, message, name, answer=text)
    assert said["evaluator"] == "rule"
    if score is None:
        assert (said["score"], said["error_type"]) == (None, "pattern_timeout")
    else:
        assert (said["score"], said["label"]) == (score, "pass" if score else "fail")


@pytest.mark.parametrize(
    "check",
    [
        {"kind": "regex", "pattern": "("},
        {"kind": "json", "schema": {"type": 7}},
        {"kind": "contains", "texts": []},
        {"kind": "judge"},
        {"kind": "oracle"},
    ],
)
def test_an_evaluator_that_can_never_judge_is_refused(tenant: Caller, name: str, check: dict[str, Any]) -> None:
    assert refused(tenant, "PUT", f"/v1/evaluators/{name}", {"check": check})[0] == 422
    assert refused(tenant, "PUT", "/v1/evaluators/feedback", {"check": {"kind": "length"}})[0] == 422


def test_a_judge_reads_the_words_from_the_history_and_its_cost_is_apart_from_chat(system: System) -> None:
    with own_tenant(system) as tenant:
        put(tenant, "/v1/evaluators/kind", {"check": {"kind": "judge", "criteria": "It is kind.", "pass_from": 0}})
        put(tenant, "/v1/evaluators/long", {"check": {"kind": "length", "unit": "words", "min": 11, "max": 13}})
        first = ask(tenant, "c1", "answer in 12 words", user_id="ada")
        second = ask(tenant, "c1", "answer in 40 words", user_id="ada")
        kind, long = evaluate(tenant, first["message_id"], "kind", "long")
        assert (kind["evaluator"], kind["label"]) == ("judge", "pass")
        assert 0 <= kind["score"] <= 1
        assert kind["explanation"]
        assert long["score"] == 1.0, "of the first answer, although the conversation went on"
        assert evaluate(tenant, second["message_id"], "long")[0]["score"] == 0.0
        tenant.flush()

        usage = {g["workflow"]: g["usage"] for g in tenant.get("usage", group_by="workflow")["groups"]}
        assert usage["chat"]["llm_calls"] == 2
        assert usage["evaluation"]["llm_calls"] == 1
        assert float(usage["evaluation"]["cost_usd"]) > 0
        assert tenant.get("conversations", "c1")["usage"]["llm_calls"] == 2
        assert tenant.get("users", "ada", "usage")["usage"]["llm_calls"] == 2
        spans = tenant.get("traces", kind["run_trace_id"])["spans"]
        judge = next(s for s in spans if s["attributes"].get("gen_ai.operation.name") == "chat")
        assert judge["attributes"]["spanledger.source"] == "evaluation"
        told = tenant.get("messages", first["message_id"], "evaluations")["items"]
        assert {(item["name"], item["evaluation_trace_id"]) for item in told} == {
            ("kind", kind["run_trace_id"]),
            ("long", long["run_trace_id"]),
        }
        logs = tenant.get("traces", first["trace_id"])["logs"]
        assert {log["attributes"].get("gen_ai.evaluation.name") for log in logs} >= {"kind", "long"}


def test_a_judge_that_fails_or_talks_nonsense_comes_to_no_verdict(tenant: Caller, name: str) -> None:
    message = ask(tenant, f"c-{name}")["message_id"]
    put(tenant, f"/v1/evaluators/{name}", {"check": {"kind": "judge", "criteria": "x", "model": "offline/error-400"}})
    (said,) = evaluate(tenant, message, name)
    assert (said["score"], said["label"]) == (None, None)
    assert said["error_type"]


def test_a_share_of_runs_is_evaluated_by_itself_without_content_on_spans(system: System) -> None:
    with own_tenant(system) as tenant:
        put(tenant, "/v1/evaluators/all", {"check": {"kind": "length", "min": 1}, "sample_rate": 1.0})
        put(tenant, "/v1/evaluators/some", {"check": {"kind": "length", "min": 1}, "sample_rate": 0.5})
        put(tenant, "/v1/evaluators/tools", {"check": {"kind": "length"}, "sample_rate": 1, "workflow": "assistant"})
        answers = [ask(tenant, f"c{n}") for n in range(16)]
        counts: dict[str, int] = {}
        for _ in range(20):  # in the background: until the last event is there
            tenant.flush()
            counts = dict(tenant.sql("SELECT name, toUInt32(uniqExact(message_id)) FROM evaluations GROUP BY name"))
            if counts.get("all") == 16:
                break
        assert counts["all"] == 16
        assert 0 < counts["some"] < 16
        assert "tools" not in counts
        message = tenant.get("messages", answers[0]["message_id"], "evaluations")["items"]
        assert {item["evaluator"] for item in message} == {"rule"}
        texts = json.dumps(tenant.get("traces", answers[0]["trace_id"]))
        assert answers[0]["content"] not in texts


def test_evaluations_of_foreign_applications_are_read_from_logs_and_span_events(system: System, name: str) -> None:
    ids = {"spanledger.message.id": name, "gen_ai.conversation.id": f"c-{name}"}
    call = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
    said = {"gen_ai.evaluation.name": "Relevance", "gen_ai.evaluation.score.value": 4.5}
    trace_id = os.urandom(16)
    request = trace_request({"name": "chat", "attributes": call | ids}, trace_id=trace_id)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    event = span.events.add(name="gen_ai.evaluation.result", time_unix_nano=span.end_time_unix_nano)
    attributes(event.attributes, said)
    system.export(request.SerializeToString())
    record = log_request("", trace_id, event_name="gen_ai.evaluation.result", time_unix_nano=span.end_time_unix_nano)
    toxic = {"gen_ai.evaluation.name": "Toxicity", "gen_ai.evaluation.score.label": "low"}
    attributes(record.resource_logs[0].scope_logs[0].log_records[0].attributes, toxic | ids)
    for _ in range(2):  # delivered twice, told once
        system.export(record.SerializeToString(), "logs")

    told = system.get("messages", name, "evaluations")["items"]
    assert {(item["name"], item["score"], item["label"]) for item in told} == {
        ("Relevance", 4.5, None),
        ("Toxicity", None, "low"),
    }
    assert len(told) == 2


def test_words_that_nobody_kept_must_come_with_the_request(system: System) -> None:
    with own_tenant(system) as tenant:
        put(tenant, "/v1/evaluators/long", {"check": {"kind": "length", "min": 1}})
        body = {"messages": [{"role": "user", "content": "hello"}]}
        assert tenant.call("POST", "/v1/chat/completions", body)[0] == 200
        tenant.flush()
        message = tenant.sql("SELECT message_id FROM messages WHERE message_id != ''")[0][0]
        path = f"/v1/messages/{message}/evaluations"
        assert refused(tenant, "POST", path, {"evaluators": ["long"]})[0] == 404
        assert evaluate(tenant, message, "long", question="hello", answer="hi")[0]["score"] == 1.0
        assert refused(tenant, "POST", path, {"evaluators": ["never-heard-of"], "answer": "x"}) == (
            422,
            "there is no evaluator 'never-heard-of'; there are long",
        )
