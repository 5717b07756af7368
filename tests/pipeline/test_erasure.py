"""Erasures: what is taken out is in no file of the data folder, and the books still balance."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from disk_search import files_with
from guarded import Caller
from otlp_make import attributes, fill, log_request, trace_request
from system import WITHOUT_CHAT, System
from tenants import ask, own_tenant, put

PATIENCE_S = 120.0
SCOPES = ("content", "identity", "everything")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("erasure") / "data", roles=WITHOUT_CHAT)
    yield system.start(SPANLEDGER_CANARY_INTERVAL_S="0")
    assert system.stop() == 0


@pytest.fixture
def chatting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("chatting") / "data")
    system.timeout_s = 180.0  # the first message loads the library of models
    yield system.start(SPANLEDGER_CAPTURE_CONTENT="1", SPANLEDGER_CANARY_INTERVAL_S="0")
    assert system.stop() == 0


@dataclass
class Person:
    """Somebody with one of everything; `words` stand in all of their texts and nowhere else."""

    user: str
    words: str
    conversation: str
    trace: bytes


def person(owner: Caller, name: str) -> Person:
    """Sends spans, a log record and a metric of a user."""
    found = Person(f"user-{name}-77", f"confided-{name}-words", f"talk-{name}", os.urandom(16))
    send_spans(owner, found)
    log = log_request(f"the log says {found.words}", found.trace, time_unix_nano=time.time_ns())
    record = log.resource_logs[0].scope_logs[0].log_records[0]
    attributes(record.attributes, {"user.id": found.user, "note": found.words})
    assert owner.send(log.SerializeToString(), "logs") == 200
    assert owner.send(metric(found.user), "metrics") == 200
    owner.flush()
    return found


def chat(owner: Caller, who: Person) -> None:
    """What a user of the chat service leaves behind: memory, feedback, preferences, a job, a document."""
    answer = ask(owner, f"{who.conversation}-chat", f"keep {who.words} in mind", user_id=who.user)
    comment = {"rating": -1, "comment": who.words, "user_id": who.user}
    assert owner.call("POST", f"/v1/messages/{answer['message_id']}/feedback", comment)[0] == 202
    put(owner, f"/v1/users/{who.user}/preferences", {"tone": "plain"})
    job = {"content": who.words, "user_id": who.user, "schedule": "0 3 1 1 *"}
    assert owner.call("POST", "/v1/jobs", job)[0] == 202
    document = {"text": f"a document of {who.words}", "name": who.words, "user_id": who.user}
    assert owner.call("POST", "/v1/documents", document)[0] == 201
    owner.flush()


def send_spans(owner: Caller, who: Person, words: str = "") -> None:
    """A trace of a message: agent, model call, tool; texts in many places."""
    words = words or who.words
    root, call = os.urandom(8), os.urandom(8)
    spans: list[dict[str, Any]] = [
        {
            "span_id": root,
            "name": "invoke_agent helper",
            "attributes": {
                "gen_ai.operation.name": "invoke_agent",
                "user.id": who.user,
                "session.id": who.conversation,
                "input.value": words,
                "customer.note": words,
                "metadata": json.dumps({"user_id": who.user, "note": words}),
            },
        },
        {
            "span_id": call,
            "parent_span_id": root,
            "name": "chat gpt-4o",
            "kind": 3,
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 77,
                "gen_ai.input.messages": json.dumps([{"role": "user", "content": f"{who.user}: {words}"}]),
                "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": words}]),
            },
        },
        {
            "parent_span_id": root,
            "name": "execute_tool look",
            "attributes": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look", "arguments": words},
        },
    ]
    request = trace_request(*spans, trace_id=who.trace)
    told = request.resource_spans[0].scope_spans[0].spans
    attributes(told[1].events.add(name="gen_ai.choice", time_unix_nano=time.time_ns()).attributes, {"content": words})
    told[2].status.code = 2
    told[2].status.message = f"no such thing: {words}"
    assert owner.send(request.SerializeToString()) == 200


def metric(user: str) -> bytes:
    request = ExportMetricsServiceRequest()
    point = request.resource_metrics.add().scope_metrics.add().metrics.add(name="asked").gauge.data_points.add()
    point.as_int, point.time_unix_nano = 1, time.time_ns()
    fill(point.attributes.add(key="user.id").value, user)
    return request.SerializeToString()


def erase(owner: Caller, scope: str, **subject: str) -> dict[str, Any]:
    """Runs an erasure to its end, until no old part is on the disk any more."""
    status, begun = owner.call("POST", "/v1/erasures", {**subject, "scope": scope})
    assert status == 202, begun
    return until(owner, begun["erasure_id"], lambda told: told["report"] and told["report"]["old_parts"] == 0)


def until(owner: Caller, erasure_id: str, wanted: Any) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        told: dict[str, Any] = owner.get("erasures", erasure_id)
        assert told["state"] != "failed", told
        if told["state"] == "done" and wanted(told):
            return told
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


def total(owner: Caller) -> dict[str, Any]:
    usage: dict[str, Any] = owner.get("usage")["usage"]
    return usage


def usage_of(owner: Caller, who: Person) -> dict[str, Any]:
    usage: dict[str, Any] = owner.get("users", who.user, "usage")["usage"]
    return usage


def expect_balance(owner: Caller) -> None:
    report = owner.get("audit", wait=300)
    assert report["balanced"], report["differences"][:3]


def files(owner: Caller, *words: str) -> dict[str, set[str]]:
    return files_with(Path(owner.system.data_dir), *words)


def expect_again(owner: Caller, told: dict[str, Any], who: Person) -> None:
    """Spans that arrive later, in a new trace and in one that was erased, are erased as well."""
    late = Person(who.user, f"late-{who.words}", who.conversation, os.urandom(16))
    before = total(owner)
    send_spans(owner, late)
    send_spans(owner, Person(who.user, late.words, who.conversation, who.trace))
    owner.flush()
    told = until(owner, told["erasure_id"], lambda one: one["arrived_again"] >= 2)
    after = total(owner)
    new = 0 if told["scope"] == "everything" else 2
    assert after["llm_calls"] == before["llm_calls"] + new
    gone = late.words if told["scope"] == "content" else who.user
    expect_gone(owner, gone)
    expect_balance(owner)


def expect_gone(owner: Caller, gone: str) -> None:
    """In no file any more, once the parts that a query still read are deleted too."""
    deadline = time.monotonic() + PATIENCE_S
    while left := files(owner, gone)[gone]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_content_goes_from_every_file_and_figures_stay(running: System) -> None:
    with own_tenant(running) as owner:
        who, other = person(owner, "anton"), person(owner, "berta")
        assert len(files(owner, who.words)[who.words]) > 2, "the search finds what is there"
        before, users = total(owner), usage_of(owner, who)
        told = erase(owner, "content", user_id=who.user)
        assert told["report"]["traces"] == 1
        assert told["report"]["balanced"]
        assert total(owner) == before
        assert usage_of(owner, who) == users
        left = files(owner, who.words, other.words)
        assert left[who.words] == set()
        assert len(left[other.words]) > 2
        expect_again(owner, told, who)


def test_a_pseudonym_takes_the_users_place_and_figures_stay(running: System) -> None:
    with own_tenant(running) as owner:
        who, other = person(owner, "carla"), person(owner, "dora")
        before, usage = total(owner), usage_of(owner, who)
        told = erase(owner, "identity", user_id=who.user)
        assert total(owner) == before
        assert owner.get("users", told["pseudonym"], "usage")["usage"] == usage
        left = files(owner, who.user, other.user)
        assert left[who.user] == set()
        assert left[other.user]
        expect_again(owner, told, who)
        assert usage_of(owner, who)["llm_calls"] == 0  # last: the audit trail tells of requests, which name the user


@pytest.mark.parametrize("name", ["pat.o'brien7@example.org", "met\\back-7", 'say "seven" 7', "zoë-und-sé-7"])
def test_an_id_goes_however_texts_write_it(running: System, name: str) -> None:
    """Also from texts of others, inside of JSON, from metrics and from the audit trail."""
    with own_tenant(running) as owner:
        who = Person(name, "words-of-7", "talk-7", os.urandom(16))
        send_spans(owner, who)
        others = {"user.id": "somebody-else", "note": f"write to {name} soon", "args": json.dumps({"to": name})}
        others["plain"] = json.dumps({"to": name}, ensure_ascii=False)
        body = trace_request({"name": f"mail {name}", "attributes": others}, trace_id=os.urandom(16))
        assert owner.send(body.SerializeToString()) == 200
        assert owner.send(metric(name), "metrics") == 200
        owner.flush()
        owner.get("users", name, "usage")
        told = erase(owner, "identity", user_id=name)
        texts = "SELECT toJSONString((SpanName, SpanAttributes)) FROM otel_traces"
        spans = [row[0] for row in owner.sql(texts)]
        seven = [text for text in spans if told["pseudonym"] in text]
        assert any("write to" in text for text in seven)
        assert any("mail " in text for text in seven)
        for form in (name, json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1]):
            sql = "SELECT count() FROM {} WHERE position({}, '{}') > 0"
            escaped = form.replace("\\", "\\\\").replace("'", "\\'")
            for table, column in (
                ("otel_traces", "concat(SpanName, arrayStringConcat(mapValues(SpanAttributes), ' '))"),
                ("otel_metrics_gauge", "arrayStringConcat(mapValues(Attributes), ' ')"),
            ):
                assert owner.sql(sql.format(table, column, escaped)) in ([[0]], [["0"]]), (table, form)
        assert not [entry for entry in owner.get("audit-log")["items"] if name in (entry["target"] or "")]
        expect_balance(owner)


def test_everything_takes_the_figures_out_by_counter_entries(running: System) -> None:
    with own_tenant(running) as owner:
        who, other = person(owner, "emil"), person(owner, "frieda")
        before, usage = total(owner), usage_of(owner, who)
        entries = owner.sql("SELECT count() FROM ledger")
        told = erase(owner, "everything", user_id=who.user)
        after = total(owner)
        assert Decimal(after["cost_usd"]) == Decimal(before["cost_usd"]) - Decimal(usage["cost_usd"])
        assert after["total_tokens"] == before["total_tokens"] - usage["total_tokens"]
        assert told["report"]["removed_calls"] == usage["llm_calls"] == 1
        assert Decimal(told["report"]["removed_usd"]) == Decimal(usage["cost_usd"])
        assert int(owner.sql("SELECT count() FROM ledger")[0][0]) > int(entries[0][0])
        left = files(owner, who.user, who.words, other.user, other.words)
        assert left[who.user] == left[who.words] == set()
        assert left[other.user]
        assert left[other.words]
        assert owner.call("GET", f"/v1/traces/{who.trace.hex()}")[0] == 404
        expect_again(owner, told, who)


def test_another_tenants_user_of_the_same_name_is_not_touched(running: System) -> None:
    with own_tenant(running) as owner, own_tenant(running) as stranger:
        ours, theirs = person(owner, "gustav"), person(stranger, "gustav")
        seen = usage_of(stranger, theirs), total(stranger)
        erase(owner, "everything", user_id=ours.user)
        assert (usage_of(stranger, theirs), total(stranger)) == seen
        trace = stranger.get("traces", theirs.trace.hex())
        assert any(theirs.words in json.dumps(span["attributes"]) for span in trace["spans"])
        assert files(stranger, theirs.user)[theirs.user]
        expect_balance(stranger)


def test_what_the_chat_service_holds_of_a_user_goes_too(chatting: System) -> None:
    with own_tenant(chatting) as owner:
        who = Person("user-chatty-77", "confided-chatty-words", "talk-chatty", os.urandom(16))
        chat(owner, who)
        before = total(owner)
        assert {"conversations.db", "jobs.db"} <= {
            name.removesuffix("-wal") for name in files(owner, who.words)[who.words]
        }
        erase(owner, "content", user_id=who.user)
        assert files(owner, who.words)[who.words] == set()
        assert total(owner) == before
        erase(owner, "identity", user_id=who.user)
        assert files(owner, who.user)[who.user] == set()
        assert total(owner) == before
        expect_balance(owner)


def test_a_short_id_takes_no_memory_of_other_users(chatting: System) -> None:
    with own_tenant(chatting) as owner:
        other = Person("user-other-77", "some-words-of-the-same-letters", "talk-other", os.urandom(16))
        chat(owner, other)
        ask(owner, "talk-short", user_id="me")
        told = erase(owner, "identity", user_id="me")
        assert told["report"]["files"].get("remembered conversations", 0) <= 1
        kept = {name.removesuffix("-wal") for name in files(owner, other.words)[other.words]}
        assert "conversations.db" in kept


def test_a_conversation_of_two_users_is_erased_without_the_others_figures(running: System) -> None:
    with own_tenant(running) as owner:
        one = Person("user-two-a-77", "two-a-words", "talk-two-77", os.urandom(16))
        two = Person("user-two-b-77", "two-b-words", "talk-two-78", os.urandom(16))
        send_spans(owner, one)
        send_spans(owner, two)
        owner.flush()
        told = erase(owner, "identity", conversation_id=one.conversation)
        assert owner.get("conversations", told["pseudonym"])["usage"]["llm_calls"] == 1
        assert owner.call("GET", f"/v1/conversations/{one.conversation}")[0] == 404
        left = files(owner, one.conversation, one.user, two.conversation, two.user)
        assert (left[one.conversation], left[one.user]) == (set(), set())
        assert left[two.conversation]
        told = erase(owner, "everything", trace_id=two.trace.hex())
        assert total(owner)["llm_calls"] == 1
        assert told["report"]["removed_calls"] == 1
        assert files(owner, two.words)[two.words] == set()
        expect_balance(owner)


def test_an_erasure_names_one_thing_and_needs_an_admin(running: System) -> None:
    with own_tenant(running) as owner, own_tenant(running, "read") as reader:
        assert owner.call("POST", "/v1/erasures", {"scope": "content"})[0] == 422
        assert owner.call("POST", "/v1/erasures", {"scope": "content", "user_id": "a", "trace_id": "b"})[0] == 422
        assert reader.call("POST", "/v1/erasures", {"scope": "content", "user_id": "a"})[0] == 403
        assert reader.call("GET", "/v1/erasures")[0] == 403
        assert owner.call("GET", "/v1/erasures/nobodys")[0] == 404
