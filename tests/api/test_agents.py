"""Named agents over workflows: what they are made of, how their runs show, and what they decided."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from calling_provider import USAGE, CallingProvider
from platform_calls import call, events, key, named, ok, say, spans
from system import System

MODEL = "openai/caller"


@pytest.fixture(scope="module")
def provider() -> Iterator[CallingProvider]:
    with CallingProvider() as running:
        yield running


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, provider: CallingProvider) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("agents") / "data").start(**provider.environ)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


def put(system: System, name: str, **body: Any) -> dict[str, Any]:
    agent: dict[str, Any] = ok(system, "PUT", f"/v1/agents/{name}", body)
    return agent


def wanting(tool: str, **arguments: Any) -> str:
    return json.dumps({"tool": tool, "arguments": json.dumps(arguments)})


def test_an_agent_is_made_changed_and_removed(system: System) -> None:
    first = put(system, "made", workflow="chat", instructions="Be brief.")
    same = put(system, "made", workflow="chat", instructions="Be brief.")
    changed = put(system, "made", workflow="chat", instructions="Be long.")

    assert (first["version"], same["version"], changed["version"]) == (1, 1, 2)
    assert first["agent_id"] == changed["agent_id"]
    assert ok(system, "GET", "/v1/agents/made") == changed
    assert changed in ok(system, "GET", "/v1/agents")["items"]

    ok(system, "DELETE", "/v1/agents/made")
    assert call(system, "GET", "/v1/agents/made")[0] == 404
    assert call(system, "DELETE", "/v1/agents/made")[0] == 404
    again = put(system, "made", workflow="chat")
    assert (again["agent_id"], again["version"]) == (first["agent_id"], 4)
    told = [e for e in events(system, "spanledger.audit") if e.get("spanledger.audit.target") == "agent/made"]
    actions = [event["spanledger.audit.action"] for event in told]
    assert actions == ["agent.put", "agent.put", "agent.remove", "agent.put"]


@pytest.mark.parametrize(
    ("named_by", "headers"),
    [
        ({"model": "agent/terse one"}, {}),
        ({"metadata": {"agent": "terse one"}}, {}),
        ({}, {"x_agent": "terse one"}),
    ],
)
def test_an_openai_client_can_name_an_agent(
    system: System, provider: CallingProvider, named_by: dict[str, Any], headers: dict[str, str]
) -> None:
    put(system, "terse%20one", workflow="chat", model=MODEL, instructions="Be terse.")
    body = {"messages": [{"role": "user", "content": "hello"}], **named_by}
    before = system.get("agents", "terse one", "performance")["runs"]
    provider.prompts.clear()
    status, _, answer = system.request(
        "POST", "/v1/chat/completions", json.dumps(body).encode(), Content_Type="application/json", **headers
    )

    assert status == 200, answer
    assert answer["model"] == "caller"
    assert provider.prompts[-1]["messages"][0]["content"] == "Be terse."
    assert "agent/terse one" in [model["id"] for model in system.get("models")["data"]]
    system.flush()
    assert system.get("agents", "terse one", "performance")["runs"] == before + 1


def test_an_openai_client_is_told_of_an_agent_that_is_none(system: System) -> None:
    body = {"model": "agent/nobody", "messages": [{"role": "user", "content": "hello"}]}
    status, answer = call(system, "POST", "/v1/chat/completions", body)[:2]

    assert status == 422
    assert "nobody" in json.dumps(answer)


def test_an_agents_run_carries_it_on_every_span(system: System, provider: CallingProvider) -> None:
    agent = put(
        system, "teller", workflow="assistant", model=MODEL, instructions="Tell.", tools=["clock"], description="tells"
    )

    answer = say(system, "agents-1", wanting("clock"), agent="teller", user_id="ann")

    assert (answer["workflow"], answer["provider"], answer["model"]) == ("assistant", "openai", "caller")
    assert "UTC" in answer["content"]
    sent = provider.prompts[-2]
    assert sent["messages"][0] == {"role": "system", "content": "Tell."}
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["clock"]
    found = spans(system, answer["trace_id"])
    about = ("gen_ai.agent.name", "gen_ai.agent.id", "gen_ai.agent.version")
    assert {tuple(span["attributes"].get(name) for name in about) for span in found} == {
        ("teller", agent["agent_id"], str(agent["version"]))
    }
    run = named(found, "invoke_agent teller")
    assert run["role"] == "agent"
    assert run["parent_span_id"] == named(found, "invoke_workflow assistant")["span_id"]
    below = [span for span in found if span["parent_span_id"] == run["span_id"]]
    assert [span["name"] for span in below] == ["assistant"]


def test_what_the_caller_decided_goes_before_the_agent(system: System, provider: CallingProvider) -> None:
    put(system, "modest", workflow="chat", model=MODEL, parameters={"temperature": 0.1, "max_tokens": 50})

    say(system, "agents-2", "hello", agent="modest", parameters={"temperature": 0.9})
    answer = say(system, "agents-2", "hello", agent="modest", model="offline/small")

    assert (provider.prompts[-1]["temperature"], provider.prompts[-1]["max_tokens"]) == (0.9, 50)
    assert answer["provider"] == "offline"


def test_an_agent_without_tools_offers_none(system: System, provider: CallingProvider) -> None:
    put(system, "toolless", workflow="assistant", model=MODEL, tools=[])

    answer = say(system, "agents-3", wanting("clock"), agent="toolless")

    assert "tools" not in provider.prompts[-1]
    assert answer["content"] == ""


def test_a_chat_agent_may_have_tools(system: System) -> None:
    put(system, "counter", workflow="chat", model=MODEL, tools=["calculator"])

    assert say(system, "agents-4", wanting("calculator", expression="6*7"), agent="counter")["content"] == "42"


def test_performance_is_what_the_books_say(system: System) -> None:
    put(system, "measured", workflow="assistant", model=MODEL)
    for n in range(3):
        say(system, "agents-5", wanting("calculator", expression=f"{n}+1"), agent="measured", user_id=f"user-{n}")
    say(system, "agents-6", wanting("calculator", expression="1/0"), agent="measured", user_id="user-0")
    assert (
        call(
            system,
            "POST",
            "/v1/conversations/agents-5/messages",
            {"content": "x", "agent": "measured", "model": "offline/error-400"},
        )[0]
        == 400
    )
    put(system, "measured", workflow="assistant", model=MODEL, description="newer")
    say(system, "agents-5", "hello", agent="measured")
    system.flush()

    found = ok(system, "GET", "/v1/agents/measured/performance")

    assert (found["runs"], found["failures"]) == (6, 1)
    assert found["failure_rate"] == pytest.approx(1 / 6)
    assert (found["conversations"], found["users"]) == (2, 3)
    assert found["errors"] == [{"error_type": "400", "runs": 1}]
    assert found["usage"]["llm_calls"] == 9
    assert found["usage"]["failed_calls"] == 1
    assert found["usage"]["total_tokens"] == 9 * USAGE["total_tokens"]
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]
    calculator = found["tools"]["calculator"]
    assert (calculator["calls"], calculator["failed_calls"], calculator["error_rate"]) == (4, 1, 0.25)
    assert [(v["version"], v["runs"], v["failures"]) for v in found["versions"]] == [(2, 1, 0), (1, 5, 1)]
    assert ok(system, "GET", "/v1/usage?agent=measured")["usage"] == found["usage"]
    early = ok(system, "GET", "/v1/agents/measured/performance?to=2020-01-01")
    assert (early["runs"], early["failure_rate"], early["latency_ms"]["p50"]) == (0, None, None)


def test_decisions_say_what_was_chosen_out_of_what_and_why(system: System) -> None:
    put(system, "decider", workflow="assistant", model=MODEL, tools=["calculator", "clock"])
    answer = say(system, "agents-7", wanting("calculator", expression="1/0"), agent="decider", user_id="ann")
    system.flush()

    found = ok(system, "GET", f"/v1/agents/decider/decisions?trace_id={answer['trace_id']}")["items"]

    assert [(d["node"], d["kind"], d["choice"], d["reason"]) for d in reversed(found)] == [
        ("model", "tool", ["calculator"], "model_asked"),
        ("tools", "tool", ["calculator"], "failed:invalid_arguments"),
        ("model", "branch", ["answer"], "model_answered"),
    ]
    assert found[-1]["options"] == ["calculator", "clock"]
    assert {(d["message_id"], d["user_id"], d["version"]) for d in found} == {(answer["message_id"], "ann", "1")}
    ids = {span["span_id"] for span in spans(system, answer["trace_id"])}
    assert all(d["span_id"] in ids for d in found)
    assert found[0] in ok(system, "GET", "/v1/agents/decider/decisions?limit=1")["items"]


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("assistant", {}, 422),
        ("x", {"workflow": "none"}, 422),
        ("x", {"tools": ["rm_rf"]}, 422),
        ("x", {"tools": ["nowhere.*"]}, 422),
        ("x", {"parameters": {"api_base": "http://127.0.0.1:9"}}, 422),
        ("x", {"parameters": {"temperature": 9}}, 422),
        ("x", {"instructions": "\ud800"}, 422),
        ("x", {"power": 11}, 422),
        ("x", [], 422),
        ("a%0Ab", {}, 422),
        ("y" * 257, {}, 422),
    ],
)
def test_agents_that_make_no_sense(system: System, name: str, body: Any, status: int) -> None:
    assert call(system, "PUT", f"/v1/agents/{name}", body)[0] == status


def test_a_message_to_an_unknown_agent(system: System) -> None:
    status, problem = call(
        system, "POST", "/v1/conversations/agents-8/messages", {"content": "hello", "agent": "nobody"}
    )

    assert (status, problem["title"]) == (422, "Unknown agent")


def test_agents_of_another_tenant_do_not_exist(system: System) -> None:
    put(system, "mine", workflow="chat")
    say(system, "agents-9", "hello", agent="mine")
    system.flush()
    acme = key(system, "acme", "admin")

    assert ok(system, "GET", "/v1/agents", **acme)["items"] == []
    assert call(system, "GET", "/v1/agents/mine", **acme)[0] == 404
    assert call(system, "DELETE", "/v1/agents/mine", **acme)[0] == 404
    assert ok(system, "GET", "/v1/agents/mine/performance", **acme)["runs"] == 0
    assert ok(system, "GET", "/v1/agents/mine/decisions", **acme)["items"] == []
    other = ok(system, "PUT", "/v1/agents/mine", {"workflow": "rag"}, **acme)
    assert other["agent_id"] != ok(system, "GET", "/v1/agents/mine")["agent_id"]
    body = {"content": "hello", "agent": "mine"}
    assert ok(system, "POST", "/v1/conversations/a/messages", body, **acme)["workflow"] == "rag"


def test_agents_are_made_by_admins(system: System) -> None:
    for role in ("read", "chat"):
        assert call(system, "PUT", "/v1/agents/x", {}, **key(system, "acme", role))[0] == 403
