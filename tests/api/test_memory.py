"""Memory and cache: how much of a conversation the model sees, and answers that need no model."""

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from guarded import Caller
from otlp_make import trace_request
from spanledger.workflows import memory
from system import System
from tenants import ask, own_tenant, put, refused


@pytest.fixture(scope="module")
def tenant(system: System) -> Iterator[Caller]:
    with own_tenant(system) as caller:
        yield caller


@pytest.fixture
def name() -> str:
    return f"m-{uuid.uuid4().hex[:10]}"


def inputs(tenant: Caller, conversation: str, messages: int, **more: Any) -> list[int]:
    """Input tokens of each message of a conversation; every answer has 40 words."""
    answers = [ask(tenant, conversation, f"part {n}: go on in 40 words", **more) for n in range(messages)]
    return [answer["usage"]["input_tokens"] for answer in answers]


def test_a_window_bounds_what_the_model_sees(tenant: Caller, name: str) -> None:
    whole = inputs(tenant, f"c1-{name}", 6)
    window = inputs(tenant, f"c2-{name}", 6, memory={"kind": "window", "exchanges": 2})
    assert whole == sorted(whole)
    assert whole[5] > 5 * whole[0]
    assert max(window[3:]) - min(window[3:]) < 30, "two exchanges, whatever came before"
    assert window[5] < 0.65 * whole[5]


def test_a_window_of_tokens_holds_whole_exchanges_and_always_the_question(tenant: Caller, name: str) -> None:
    tokens = inputs(tenant, f"c-{name}", 5, memory={"kind": "window", "tokens": 120})
    assert max(tokens) < 120 + tokens[0] + 10
    tiny = inputs(tenant, f"c2-{name}", 3, memory={"kind": "window", "tokens": 1})
    assert max(tiny) - min(tiny) <= 1


def test_a_summary_stands_for_the_older_part_and_is_a_tracked_call_of_its_message(tenant: Caller, name: str) -> None:
    told: list[dict[str, Any]] = []
    for number in range(7):
        more = {"memory": {"kind": "summary", "exchanges": 2}}
        told.append(ask(tenant, f"c-{name}", f"part {number}: go on in 120 words", **more))
    calls = [answer["usage"]["llm_calls"] for answer in told]
    assert calls == [1, 1, 1, 1, 2, 1, 2], "a summary when four exchanges stand open, then two are left"

    tenant.flush()
    spans = tenant.get("traces", told[4]["trace_id"])["spans"]
    chats = [s for s in spans if s["attributes"].get("gen_ai.operation.name") == "chat"]
    assert len(chats) == 2
    assert all(s["attributes"]["spanledger.message.id"] == told[4]["message_id"] for s in chats)
    decisions = [e["attributes"] for s in spans for e in s["events"] if e["name"] == "spanledger.decision"]
    assert any(d.get("spanledger.decision.reason") == "older_summarised" for d in decisions)
    usage = tenant.get("messages", told[4]["message_id"])["usage"]
    assert usage == told[4]["usage"], "the answer and the books say the same"

    after = min(chats, key=lambda s: s["started_at"]), max(chats, key=lambda s: s["started_at"])
    summarising, answering = (int(s["attributes"]["gen_ai.usage.input_tokens"]) for s in after)
    before = told[3]["usage"]["input_tokens"]
    assert answering < before, "the prompt shrank although the conversation grew"
    assert summarising > 0


def test_a_summary_is_tried_again_like_any_call(tenant: Caller, name: str) -> None:
    for number in range(4):
        ask(tenant, f"c-{name}", f"part {number} in 40 words", memory={"kind": "summary", "exchanges": 2})
    more = {"memory": {"kind": "summary", "exchanges": 2}, "model": "offline/flaky-429"}
    answer = ask(tenant, f"c-{name}", "part 5 in 40 words", **more)
    assert (answer["usage"]["llm_calls"], answer["usage"]["failed_calls"]) == (2, 2)


def test_what_is_left_out_of_the_prompt_is_not_forgotten(tenant: Caller, name: str) -> None:
    inputs(tenant, f"c-{name}", 4, memory={"kind": "window", "exchanges": 1})
    whole = ask(tenant, f"c-{name}", "go on")
    assert whole["usage"]["input_tokens"] > 150


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "window"},
        {"kind": "all", "exchanges": 3},
        {"kind": "window", "exchanges": 0},
        {"kind": "elephant"},
        {"kind": "window", "tokens": 10**12},
    ],
)
def test_a_memory_that_says_nothing_sensible_is_refused(tenant: Caller, wish: dict[str, Any]) -> None:
    body = {"content": "hello", "memory": wish}
    assert refused(tenant, "POST", "/v1/conversations/c/messages", body)[0] == 422


def test_questions_without_an_answer_are_no_exchange() -> None:
    messages = [
        {"role": "user", "content": "one"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "three"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "x"}]},
        {"role": "user", "content": "four"},
    ]
    seen = memory.view({"kind": "window", "exchanges": 5}, messages, None)
    assert [m["content"] for m in seen.messages] == ["two", "2", "four"]


def test_a_cached_answer_is_no_call_and_says_what_it_saved(system: System, name: str) -> None:
    with own_tenant(system) as tenant:
        first = ask(tenant, f"c1-{name}", name, cache=True)
        again = ask(tenant, f"c2-{name}", name, cache=True)
        assert (first["cache_hit"], again["cache_hit"]) == (False, True)
        assert again["content"] == first["content"]
        assert again["finish_reason"] == "stop"
        assert (again["usage"]["llm_calls"], again["usage"]["failed_calls"]) == (0, 0)
        assert (again["usage"]["total_tokens"], again["usage"]["cost_usd"]) == (0, "0")

        tenant.flush()
        spans = tenant.get("traces", again["trace_id"])["spans"]
        hit = next(s for s in spans if s["attributes"].get("gen_ai.operation.name") == "chat")
        assert hit["attributes"]["spanledger.cache.hit"] == "true"
        assert hit["attributes"]["spanledger.cache.saved.usd"] == first["usage"]["cost_usd"]
        assert not [key for key in hit["attributes"] if key.startswith("gen_ai.usage.")]
        assert tenant.get("usage")["usage"] == first["usage"], "the books know one call"
        message = tenant.get("messages", again["message_id"])
        assert (message["models"], message["usage"]["llm_calls"]) == (["small"], 0)
        report = tenant.get("cache")
        assert report["total"] == {
            "hits": 1,
            "misses": 1,
            "hit_share": 0.5,
            "saved_input_tokens": first["usage"]["input_tokens"],
            "saved_output_tokens": first["usage"]["output_tokens"],
            "saved_tokens": first["usage"]["total_tokens"],
            "saved_usd": first["usage"]["cost_usd"],
            "priced_share": 1.0,
        }
        assert [(m["provider"], m["model"]) for m in report["models"]] == [("offline", "small")]
        assert system.get("audit")["balanced"]


def test_a_cached_answer_streams(tenant: Caller, name: str) -> None:
    first = ask(tenant, f"c1-{name}", name, cache=True)
    status, body = tenant.say(f"c2-{name}", name, cache=True, stream=True)
    assert status == 200
    events = [block.split("\n") for block in body.decode().strip().split("\n\n")]
    told = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert "".join(event["content"] for event in told[:-1]) == first["content"]
    assert told[-1]["cache_hit"] is True


def test_the_cache_is_opt_in_by_request_or_profile_and_never_across_tenants(
    tenant: Caller, name: str, system: System
) -> None:
    ask(tenant, f"c1-{name}", name, cache=True)
    assert ask(tenant, f"c2-{name}", name)["cache_hit"] is False
    put(tenant, f"/v1/profiles/{name}", {"cache": True})
    assert ask(tenant, f"c3-{name}", name, profile=name)["cache_hit"] is True
    assert ask(tenant, f"c4-{name}", name, profile=name, cache=False)["cache_hit"] is False
    assert ask(tenant, f"c5-{name}", name, cache=True, model="offline/large")["cache_hit"] is False
    assert ask(tenant, f"c6-{name}", name, cache=True, parameters={"temperature": 1})["cache_hit"] is False
    with own_tenant(system) as other:
        assert ask(other, f"c1-{name}", name, cache=True)["cache_hit"] is False


def test_an_answer_that_failed_or_was_cut_is_not_kept(tenant: Caller, name: str) -> None:
    cut = {"cache": True, "parameters": {"max_tokens": 3}}
    assert ask(tenant, f"c1-{name}", name, **cut)["finish_reason"] == "length"
    assert ask(tenant, f"c2-{name}", name, **cut)["cache_hit"] is False
    assert tenant.say(f"c3-{name}", name, cache=True, model="offline/error-400")[0] == 400
    assert tenant.say(f"c4-{name}", name, cache=True, model="offline/error-400")[0] == 400


def test_the_cache_hit_of_another_instrumentation_bills_nothing(system: System, name: str) -> None:
    """LiteLLM tells of a hit with the usage of the first answer; LangChain above it does not know."""
    usage = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "session.id": name,
    }
    outer, hit = os.urandom(8), usage | {"llm.cache_hit": True}
    request = trace_request(
        {"span_id": outer, "name": "ChatOpenAI", "attributes": usage},
        {"parent_span_id": outer, "name": "completion", "attributes": hit},
    )
    system.export(request.SerializeToString())
    assert system.get("usage", conversation=name)["usage"]["llm_calls"] == 0
    assert system.get("conversations", name)["message_count"] == 2
    assert system.get("audit")["balanced"]
