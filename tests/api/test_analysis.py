"""Sealing through the real API of a real `up`: what conversations were about, and what they came to."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from otlp_make import trace_request
from spanledger.analysis import rules
from spanledger.analysis.content import MAX_CHARS, Transcript, of_history
from system import System

Json = dict[str, Any]
FAST = {"SPANLEDGER_SEAL_AFTER_S": "1", "SPANLEDGER_SEAL_SCAN_S": "0.2"}
HOUR = 3600 * 10**9


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Conversations seal after 1 s; spans carry their content."""
    running = System(tmp_path_factory.mktemp("analysis") / "data").start(**FAST, SPANLEDGER_CAPTURE_CONTENT="1")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


def say(system: System, conversation: str, content: str, **more: Any) -> Json:
    answer: Json = system.post(f"/v1/conversations/{conversation}/messages", {"content": content, **more})
    return answer


def until(system: System, *path: str, holds: Callable[[Json], bool], seconds: float = 180) -> Json:
    pause, ends = threading.Event(), time.monotonic() + seconds
    while True:
        target = "/v1/" + "/".join(path)
        status, _, body = system.request("GET", target)
        if status == 200 and holds(body):
            found: Json = body
            return found
        assert time.monotonic() < ends, (status, body)
        pause.wait(0.05)


def foreign(conversation: str, name: str, started_ns: int, **attributes: Any) -> bytes:
    """A call of some application, in its own trace."""
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.id": name,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.conversation.id": conversation,
        "user.id": "eve",
        **attributes,
    }
    span = {"start_time_unix_nano": started_ns, "end_time_unix_nano": started_ns + 10**9, "attributes": call}
    request = trace_request(span, trace_id=os.urandom(16))
    body: bytes = request.SerializeToString()
    return body


def test_an_idle_conversation_seals_with_an_analysis_and_a_statement(up: System) -> None:
    say(up, "holiday", "I love the mountains, thanks! Where should I hike?", user_id="ann")
    said = say(up, "holiday", "I will book the train to Zermatt tomorrow.", user_id="ann")
    first = until(up, "conversations", "holiday", "statement", holds=lambda body: body["message_count"] == 4)
    up.flush()
    after = up.get("conversations", "holiday")
    # Sealing may have seen the last message before all of its spans: then a further version follows.
    statement = until(
        up, "conversations", "holiday", "statement", holds=lambda body: body["last_at"] == after["last_at"]
    )
    assert after["status"] == "sealed"
    assert up.get("conversations")["items"][0]["status"] in {"active", "sealed"}
    for name in ("message_count", "first_at", "last_at", "models", "user_id", "usage"):
        assert statement[name] == after[name]
    assert after["usage"]["llm_calls"] == 2

    analysis = until(up, "conversations", "holiday", "analysis", holds=lambda body: body["analysis"] is not None)
    found = analysis["analysis"]
    assert (found["model"], found["content_source"]) == ("small", "history")
    assert found["title"].startswith("user: I love the mountains")
    assert found["sentiment"] == "positive"
    assert found["key_points"] == ["Where should I hike?"]
    assert found["commitments"][0] == "I will book the train to Zermatt tomorrow."
    assert "commitments" in found["by_rules"]
    spans = up.get("traces", first["trace_id"])["spans"]
    assert [span["name"] for span in spans][:1] == ["seal conversation"]
    assert "chat small" in [span["name"] for span in spans]
    live = {one["message_id"]: one for one in analysis["messages"]}
    assert len(live) == 2
    assert live[said["message_id"]]["sentiment"] == "neutral"
    assert [one["sentiment"] for one in analysis["messages"]] == ["positive", "neutral"]


def test_sealing_does_not_change_what_is_sealed(up: System) -> None:
    say(up, "unchanged", "hello")
    first = up.post("/v1/conversations/unchanged/seal", {})
    up.flush()
    assert up.get("conversations", "unchanged")["usage"] == first["usage"]
    again = up.post("/v1/conversations/unchanged/seal", {})
    assert (again["version"], again["sealed_at"]) == (first["version"], first["sealed_at"])
    up.flush()
    spent = up.get("usage", group_by="workflow")["groups"]
    assert any(group["workflow"] == "analysis" and group["usage"]["llm_calls"] for group in spent)
    assert up.get("audit")["balanced"]
    done = up.request("GET", "/readyz")[2]["analysis"]
    assert done["sealed"] >= 1
    assert (done["seals_failed"], done["messages_failed"], done["messages_dropped"]) == (0, 0, 0)


def test_a_conversation_that_goes_on_is_active_again_and_then_resumed(up: System) -> None:
    say(up, "resumed", "hello")
    assert up.post("/v1/conversations/resumed/seal", {})["cause"] == "sealed"
    say(up, "resumed", "one more thing")
    # On a busy machine spans of the first exchange may come after it was sealed: a version of their own.
    second = until(up, "conversations", "resumed", "statement", holds=lambda body: body["cause"] == "resumed")
    assert second["difference"]["message_count"] == [2, 4]
    versions = [one["version"] for one in second["versions"]]
    assert versions == list(range(second["version"], 0, -1))
    assert second["versions"][1]["usage"]["llm_calls"] == 1  # what was said then stays


def test_a_late_span_issues_a_correction_that_names_the_difference(up: System) -> None:
    started = time.time_ns() - 5 * HOUR
    up.export(foreign("late", "late-1", started))
    up.export(foreign("late", "late-2", started + HOUR))
    first = until(up, "conversations", "late", "statement", holds=lambda body: body["usage"]["llm_calls"] == 2)
    up.export(foreign("late", "late-3", started + HOUR // 2))
    wanted = first["version"] + 1
    corrected = until(up, "conversations", "late", "statement", holds=lambda body: body["version"] == wanted)
    assert corrected["cause"] == "late"
    assert corrected["difference"]["usage.llm_calls"] == [2, 3]
    assert corrected["difference"]["usage.input_tokens"] == [2000, 3000]
    was, now = corrected["difference"]["usage.cost_usd"]
    assert (Decimal(was), Decimal(now)) == (Decimal("0.00042"), Decimal("0.00063"))
    assert corrected["versions"][1]["usage"] == first["usage"]
    assert up.get("conversations", "late")["status"] == "sealed"


def test_without_content_there_are_figures_and_a_reason(up: System) -> None:
    up.export(foreign("silent", "silent-1", time.time_ns() - HOUR))
    statement = up.post("/v1/conversations/silent/seal", {})
    assert (statement["usage"]["total_tokens"], statement["user_id"]) == (1100, "eve")
    analysis = up.get("conversations", "silent", "analysis")
    assert analysis["analysis"] is None
    assert "carry no content" in analysis["missing_because"]


def test_content_on_spans_is_analysed_whoever_sent_them(up: System) -> None:
    def told(role: str, text: str) -> str:
        return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])

    said = {
        "gen_ai.input.messages": told("user", "This is terrible, my invoice is wrong. Who can help?"),
        "gen_ai.output.messages": told("assistant", "I'll correct the invoice today."),
    }
    up.export(foreign("captured", "captured-1", time.time_ns() - HOUR, **said))
    up.post("/v1/conversations/captured/seal", {})
    found = up.get("conversations", "captured", "analysis")["analysis"]
    assert (found["content_source"], found["sentiment"]) == ("spans", "negative")
    assert found["commitments"] == ["I'll correct the invoice today."]
    assert "invoice" in found["topics"]


def test_unknown_and_unsealed_conversations_say_so(up: System) -> None:
    for method, what in (("GET", "analysis"), ("GET", "statement"), ("POST", "seal")):
        status, _, body = up.request(method, f"/v1/conversations/nobody/{what}")
        assert (status, "there is no conversation 'nobody'" in body["detail"]) == (404, True)


def test_after_a_restart_nothing_is_sealed_twice_and_what_was_open_seals(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    system = System(tmp_path_factory.mktemp("restart") / "data").start()
    say(system, "closed", "hello")
    say(system, "open", "hello")
    assert system.post("/v1/conversations/closed/seal", {})["version"] == 1
    assert system.request("GET", "/v1/conversations/open/statement")[0] == 404
    assert system.get("conversations", "open")["status"] == "active"
    assert system.get("conversations", "closed")["status"] == "sealed"
    system.kill()
    system.start(**FAST)
    until(system, "conversations", "open", "statement", holds=lambda body: body["version"] == 1)
    assert system.get("conversations", "closed", "statement")["version"] == 1
    assert system.stop() == 0


@pytest.mark.parametrize(
    ("text", "mood"),
    [
        ("thanks, that works great", "positive"),
        ("this is not good, it is broken", "negative"),
        ("not bad", "positive"),
        ("the train leaves at nine", "neutral"),
        ("", "neutral"),
        ("\x00\ud7ff" * 10_000, "neutral"),
    ],
)
def test_rules_tell_the_mood_of_a_text(text: str, mood: str) -> None:
    assert rules.sentiment(text)[0] == mood


def test_a_long_conversation_is_read_from_both_ends() -> None:
    lines = [{"role": "user", "content": f"word {n} " + "x" * 100} for n in range(5000)]
    text = of_history(lines).text()
    assert len(text) < MAX_CHARS + 10
    assert text.startswith("user: word 0 ")
    assert "word 4999" in text
    assert Transcript().text() == ""


def test_a_statement_is_told_in_its_own_words_where_content_is_captured(up: System) -> None:
    query = "SELECT count() AS anns FROM messages WHERE user_id = 'ann'"
    up.post("/v1/sql", {"query": query})
    up.flush()
    entries = up.get("audit-log", action="data.query")["items"]
    assert query in {entry["facts"]["query"] for entry in entries}
