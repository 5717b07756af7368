"""Content capture is off by default: a word that a user says is in no telemetry, whichever feature it goes through."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from calling_provider import CallingProvider
from system import System

MCP_SERVER = str(Path(__file__).parents[1] / "mcp_server.py")
MARKER = "xylophonic"  # a word that no text of ours contains
# What keeps a user's words because that is its purpose: the memory of conversations, and jobs until they have run.
KEPT_ON_PURPOSE = ("conversations.db", "jobs.db")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a system that was talked to with the marker in every feature, sealed, and stopped."""
    folder = tmp_path_factory.mktemp("content-off") / "data"
    with CallingProvider() as provider:
        system = System(folder)
        system.timeout_s = 60  # tools crash, start again and never answer
        system.start(SPANLEDGER_SEAL_AFTER_S="3600", **provider.environ)
        use_every_feature(system)
        be_quoted(system)
        put_words_where_none_belong(system)
        assert system.stop() == 0
    assert MARKER not in system.stderr()
    return folder


def use_every_feature(system: System) -> None:
    text = f"I love the {MARKER} mountains! I will book the {MARKER} train. Is {MARKER} wrong?"

    def send(method: str, path: str, body: Any) -> Any:
        status, _, answer = system.request(method, path, json.dumps(body).encode(), Content_Type="application/json")
        return status, answer

    for more in ({}, {"workflow": "assistant"}, {"workflow": "rag"}, {"memory": {"kind": "summary", "exchanges": 1}}):
        for _ in range(3):
            assert (
                send("POST", "/v1/conversations/talk/messages", {"content": text, "user_id": "ann", **more})[0] == 200
            )
    for model in ("offline/error-500", "offline/error-400", "offline/cut", "offline/no-usage"):
        send("POST", "/v1/conversations/talk/messages", {"content": text, "model": model})
    message = system.post("/v1/conversations/talk/messages", {"content": text})["message_id"]
    chat = [{"role": "user", "content": f"{text} Use get_weather."}]
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
    assert send("POST", "/v1/chat/completions", {"messages": chat, "tools": [tool]})[0] == 200
    assert send("POST", "/v1/responses", {"input": text})[0] == 200
    assert send("POST", "/v1/completions", {"prompt": text})[0] == 200
    assert send("POST", "/v1/embeddings", {"model": "offline/embed", "input": text})[0] == 200
    send("POST", "/v1/retrieval/search", {"query": text})
    assert send("PUT", "/v1/evaluators/kind", {"check": {"kind": "judge", "criteria": "It is kind."}})[0] == 200
    send("POST", f"/v1/messages/{message}/evaluations", {"evaluators": ["kind"]})
    assert send("POST", "/v1/jobs", {"content": text, "conversation_id": "job-talk"})[0] in (200, 201, 202)
    assert send("POST", "/v1/conversations/talk/messages", {"content": {"not": text}})[0] == 422
    system.post("/v1/conversations/talk/seal", {})
    system.flush()


def be_quoted(system: System) -> None:
    """By a provider and by tools, which repeat in their errors what they were asked; the caller hears it."""

    def ask(path: str, **body: Any) -> tuple[int, str]:
        given = json.dumps(body).encode()
        status, _, answer = system.request("POST", path, given, Content_Type="application/json")
        return status, json.dumps(answer)

    chat = [{"role": "user", "content": f"the {MARKER} train"}]
    for status in (400, 404, 422, 429, 500):
        model = f"openai/quoting-{status}"
        for more in ({}, {"stream": True}):
            refused, told = ask("/v1/chat/completions", messages=chat, model=model, **more)
            assert (refused >= 400, MARKER in told) == (True, True)
        ask("/v1/responses", input=MARKER, model=model)
        ask("/v1/completions", prompt=MARKER, model=model)
        ask("/v1/embeddings", input=MARKER, model=model)
        ask("/v1/conversations/quoted/messages", content=MARKER, model=model)
    for arguments in ({"expression": f"{MARKER} + 1"}, {"expression": [MARKER]}, {MARKER: 1}):
        call = json.dumps({"tool": "calculator", "arguments": json.dumps(arguments)})
        assert (
            ask("/v1/conversations/quoted/messages", content=call, model="openai/calls", workflow="assistant")[0] == 200
        )
    ask("/v1/conversations/quoted/messages", content=MARKER, model="openai/misshapen")


SQL = (
    f"SELECT count() FROM messages WHERE user_id = '{MARKER}' -- {MARKER}",
    f'SELECT count() AS {MARKER} FROM messages AS "{MARKER}"',
    f"SELECT toUInt64('{MARKER}')",
    f"SELECT $${MARKER}$$, {MARKER}()",
    f"SELECT “{MARKER}”",
    f"who is {MARKER}?",
    f"SELECT 'it is {MARKER}",
)


def put_words_where_none_belong(system: System) -> None:
    """Names that a model makes up, members of a request that hold words, statements, questions, misspelt requests."""

    def ask(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        given = None if body is None else json.dumps(body).encode()
        if given is not None:
            headers |= {"Content_Type": "application/json"}
        status, _, answer = system.request(method, path, given, **headers)
        return status, str(answer)

    talk = "/v1/conversations/apart/messages"
    for tool in (MARKER, f"calculator.{MARKER}", f"the {MARKER} train"):
        call = json.dumps([{"tool": tool, "arguments": "{}"}, {"tool": "clock", "arguments": "{}"}])
        status, told = ask("POST", talk, {"content": call, "model": "openai/calls", "workflow": "assistant"})
        assert (status, MARKER in told) == (200, True), "the model hears its own word"
    server = {"command": sys.executable, "args": [MCP_SERVER, "stdio"], "connect_timeout_s": 60, "timeout_s": 5}
    assert ask("PUT", "/v1/mcp-servers/small", server)[0] == 200
    agent = {"workflow": "assistant", "model": "openai/calls", "tools": ["small.*"]}
    assert ask("PUT", "/v1/agents/user", agent)[0] == 200
    for tool in ("small__fail", "small__process", "small__crash", "small__never", "small__add"):
        call = json.dumps({"tool": tool, "arguments": json.dumps({"note": MARKER, "a": MARKER, "b": MARKER})})
        assert ask("POST", talk, {"content": call, "agent": "user"})[0] == 200
    chat = {"messages": [{"role": "user", "content": "hello"}]}
    for model in ("offline/small", "openai/calls"):
        for more in (
            {"stop": [MARKER, f"{MARKER}!"]},
            {"stop": MARKER},
            {"reasoning_effort": MARKER},
            {"metadata": {"note": MARKER, MARKER: "note"}},
            {"logit_bias": {MARKER: 1}},
            {"prediction": {"type": "content", "content": MARKER}, "response_format": {"type": MARKER}},
        ):
            ask("POST", "/v1/chat/completions", {**chat, "model": model, **more})
        ask("POST", "/v1/completions", {"prompt": "hello", "model": model, "stop": [MARKER]})
        ask("POST", "/v1/responses", {"input": "hello", "model": model, "reasoning": {"effort": MARKER}})
        ask("POST", talk, {"content": "hello", "model": model, "parameters": {"stop": [MARKER]}})
    for query in SQL:
        for form in ("json", "csv"):
            ask("POST", "/v1/sql", {"query": query, "format": form})
        system.request("GET", f"/sql?query={quote(query)}", Accept="text/html")
    for path in (f"/v1/messages?q={MARKER}", f"/v1/usage?{MARKER}={MARKER}", f"/messages?q={MARKER}", f"/?q={MARKER}"):
        system.request("GET", path)
    assert ask("POST", talk, {"content": "hello", MARKER: MARKER})[0] == 422
    assert ask("POST", talk, {"content": "hello", "parameters": {MARKER: 1}})[0] == 422
    assert ask("POST", talk, {"content": "hello", "memory": {"kind": MARKER}})[0] == 422
    assert ask("PUT", "/v1/evaluators/other", {"check": {"kind": MARKER}})[0] == 422
    json_rule = {"kind": "json", "schema": {"type": "object"}}
    assert ask("PUT", "/v1/evaluators/shape", {"check": json_rule, "sample_rate": 1})[0] == 200
    assert ask("PUT", "/v1/evaluators/strict", {"check": {"kind": "judge", "criteria": "It is."}})[0] == 200
    quoting = {"kind": "judge", "criteria": "It is.", "model": "openai/quoting-500"}
    assert ask("PUT", "/v1/evaluators/failing", {"check": quoting})[0] == 200
    answered = system.post(talk, {"content": f'{{"{MARKER}": 1', "model": "openai/calls"})["message_id"]
    ask("POST", f"/v1/messages/{answered}/evaluations", {"evaluators": ["shape", "strict", "failing"]})
    system.flush()


_LOOK = """
import json, sys
from pathlib import Path
from spanledger.store.client import open_embedded
store, word = open_embedded(Path(sys.argv[1])), {"word": sys.argv[2]}
tables = [name for (name,) in store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")]
ask = "SELECT 1 FROM `{}` WHERE toString(tuple(*)) LIKE {{word:String}} LIMIT 1"
holding = [table for table in tables if store.query(ask.format(table), word)]
sealed = store.query("SELECT count() FROM otel_logs WHERE EventName = 'spanledger.statement'")[0][0]
print(json.dumps({"tables": tables, "holding": holding, "sealed": sealed}))
store.close()
"""


def test_no_table_holds_a_word_of_a_user(data_dir: Path) -> None:
    asked = [sys.executable, "-c", _LOOK, str(data_dir), f"%{MARKER}%"]  # a process holds one engine
    found = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert "otel_traces" in found["tables"]
    assert found["holding"] == []
    assert found["sealed"] == 1


def test_no_other_file_holds_a_word_of_a_user(data_dir: Path) -> None:
    holding = [
        str(path.relative_to(data_dir))
        for path in data_dir.rglob("*")
        if path.is_file() and "clickhouse" not in path.parts and MARKER.encode() in path.read_bytes()
    ]
    assert [name for name in holding if not name.startswith(KEPT_ON_PURPOSE)] == []
