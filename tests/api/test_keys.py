"""Keys and tenants: who gets in, what they may, whose data they see. The system listens to everybody."""

import json
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from guarded import Caller, make_key, spanledger
from otlp_make import log_request, trace_request
from system import System, free_port

ROLES = ("ingest", "chat", "read", "admin")
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keys made before anything ran: one a role of tenant `red`, and an admin of `blue`."""
    data_dir = tmp_path_factory.mktemp("keys") / "data"
    made = {role: make_key(data_dir, "red", role, "--name", f"red's {role}") for role in ROLES}
    return {**made, "blue": make_key(data_dir, "blue", "admin"), "data_dir": str(data_dir)}


@pytest.fixture(scope="module")
def guarded(keys: dict[str, str]) -> Iterator[System]:
    system = System(Path(keys["data_dir"]), host="0.0.0.0", otlp_grpc_port=free_port()).start()
    yield system
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()


@pytest.fixture
def red(guarded: System, keys: dict[str, str]) -> Caller:
    return Caller(guarded, keys["admin"])


@pytest.fixture
def blue(guarded: System, keys: dict[str, str]) -> Caller:
    return Caller(guarded, keys["blue"])


@pytest.fixture
def name() -> str:
    return f"keys-{uuid.uuid4().hex[:12]}"


@dataclass
class Life:
    """A conversation of red's admin, settled."""

    conversation: str
    user: str
    reply: dict[str, Any]


@pytest.fixture(scope="module")
def life(guarded: System, keys: dict[str, str]) -> Life:
    red = Caller(guarded, keys["admin"])
    status, reply = red.say("red/talk", "hello", user_id="scarlet")
    assert status == 200, reply
    red.flush()
    return Life("red/talk", "scarlet", reply)


def grpc_port(system: System) -> int:
    return int(next(flag for flag in system.flags if flag.startswith("--otlp-grpc-port")).split("=")[1])


def export_grpc(system: System, body: bytes, *metadata: tuple[str, str]) -> grpc.StatusCode:
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port(system)}") as channel:
        try:
            channel.unary_unary(TRACES)(body, metadata=metadata, timeout=30)
        except grpc.RpcError as exc:
            return exc.code()
    return grpc.StatusCode.OK


def span(name: str, **resource: str) -> bytes:
    return trace_request({"name": name}, resource=resource).SerializeToString()


def test_a_key_is_shown_once_and_only_its_hash_is_kept(keys: dict[str, str]) -> None:
    secrets = [text.split("_", 2)[2] for name, text in keys.items() if name != "data_dir"]
    stored = b"".join(path.read_bytes() for path in Path(keys["data_dir"]).glob("registry.db*"))
    assert keys["admin"].split("_")[1].encode() in stored
    listed = spanledger("keys", "list", "--data-dir", keys["data_dir"]).stdout
    assert "red's ingest" in listed
    for secret in secrets:
        assert secret.encode() not in stored
        assert secret not in listed


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/models", "/openapi.json", "/", "/v1/nothing", "/v1/events"])
def test_without_a_key_nothing_is_open_but_health(guarded: System, path: str) -> None:
    nobody = Caller(guarded, "")
    status, headers, problem = guarded.request("GET", path)
    assert (status, problem["title"]) == (401, "Key needed")
    assert headers["www-authenticate"].startswith("Bearer")
    assert guarded.request("GET", "/healthz")[0] == 200
    assert guarded.request("GET", "/readyz")[0] == 200
    assert nobody.send(span("x")) == 401
    assert export_grpc(guarded, span("x")) == grpc.StatusCode.UNAUTHENTICATED


def test_health_without_a_key_names_no_key(guarded: System, red: Caller) -> None:
    red.send(span("x"))
    red.flush()
    assert red.key_id not in json.dumps(guarded.request("GET", "/readyz")[2])


CHAT = ("POST", "/v1/conversations/roles/messages", {"content": "hello"})
CASES = {
    CHAT[:2]: (CHAT[2], {"chat", "admin"}),
    ("POST", "/v1/chat/completions"): ({"messages": [{"role": "user", "content": "hi"}]}, {"chat", "admin"}),
    ("GET", "/v1/models"): (None, {"chat", "read", "admin"}),
    ("GET", "/v1/usage"): (None, {"read", "admin"}),
    ("GET", "/v1/audit-log"): (None, {"read", "admin"}),
    ("GET", "/v1/limits"): (None, {"read", "admin"}),
    ("POST", "/v1/sql"): ({"query": "SELECT 1"}, {"read", "admin"}),
    ("GET", "/v1/keys"): (None, {"admin"}),
    ("POST", "/v1/flush"): ({}, {"admin"}),
    ("PUT", "/v1/limits/roles"): ({"scope": "user", "match": "nobody", "tokens_per_day": 1}, {"admin"}),
    ("POST", "/v1/reprice"): ({"undo": "x"}, set()),
    ("POST", "/v1/audit"): ({"repair": True}, set()),
    ("GET", "/v1/dead-letters"): (None, set()),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), CASES)
def test_a_role_may_do_what_it_is_for(guarded: System, keys: dict[str, str], role: str, method: str, path: str) -> None:
    body, allowed = CASES[method, path]
    status, answer = Caller(guarded, keys[role]).call(method, path, body)
    assert status == (200 if role in allowed else 403), answer


@pytest.mark.parametrize("role", ROLES)
def test_who_may_send_telemetry(guarded: System, keys: dict[str, str], role: str) -> None:
    allowed = role != "read"
    assert Caller(guarded, keys[role]).send(span("x")) == (200 if allowed else 403)
    code = export_grpc(guarded, span("x"), ("authorization", f"Bearer {keys[role]}"))
    assert code == (grpc.StatusCode.OK if allowed else grpc.StatusCode.PERMISSION_DENIED)


def test_a_key_in_any_of_its_headers(guarded: System, keys: dict[str, str]) -> None:
    import base64

    key = keys["admin"]
    basic = base64.b64encode(f"anybody:{key}".encode()).decode()
    for headers in ({"x-api-key": key}, {"Authorization": f"bearer {key}"}, {"Authorization": f"Basic {basic}"}):
        assert guarded.request("GET", "/v1/usage", **headers)[0] == 200
        body, given = span("x"), {"Content-Type": "application/x-protobuf", **headers}
        assert guarded.request("POST", "/v1/traces", body, guarded.otlp_port, **given)[0] == 200
    assert export_grpc(guarded, span("x"), ("x-api-key", key)) == grpc.StatusCode.OK


FORGERIES = {
    "the right id, another secret": lambda key: key[:-43] + "A" * 43,
    "one character more": lambda key: key + "A",
    "one character less": lambda key: key[:-1],
    "the id alone": lambda key: "_".join(key.split("_", 2)[:2]),
    "another scheme": lambda key: key.replace("sl_", "sk-"),
    "not ASCII": lambda key: "schlüssel",
    "empty": lambda key: "",
    "long": lambda key: "sl_" + "a" * 5000,
    "SQL": lambda key: "sl_' OR 1=1 --",
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_key_opens_nothing(guarded: System, keys: dict[str, str], how: str) -> None:
    forged = FORGERIES[how](keys["admin"])
    for headers in ({"x-api-key": forged}, {"Authorization": f"Bearer {forged}"}):
        named = {header: value.encode().decode("latin-1") for header, value in headers.items()}
        assert guarded.request("GET", "/v1/usage", **named)[0] == 401
        given = {"Content-Type": "application/x-protobuf", **named}
        assert guarded.request("POST", "/v1/traces", span("x"), guarded.otlp_port, **given)[0] == 401


def test_two_different_keys_are_no_key(guarded: System, keys: dict[str, str]) -> None:
    both = {"x-api-key": keys["admin"], "Authorization": f"Bearer {keys['blue']}"}
    assert guarded.request("GET", "/v1/usage", **both)[0] == 401


def test_a_new_key_works_at_once_and_a_revoked_one_no_more(guarded: System, keys: dict[str, str], red: Caller) -> None:
    def answers(key: str) -> tuple[int, int, grpc.StatusCode]:
        fresh = Caller(guarded, key)
        metadata = ("authorization", f"Bearer {key}")
        return fresh.call("GET", "/v1/usage")[0], fresh.send(span("x")), export_grpc(guarded, span("x"), metadata)

    fresh = make_key(guarded.data_dir, "red", "admin")
    assert answers(fresh) == (200, 200, grpc.StatusCode.OK)
    key_id = fresh.split("_")[1]
    assert red.call("DELETE", f"/v1/keys/{key_id}") == (204, b"")
    assert [key["revoked_at"] is not None for key in red.get("keys")["items"] if key["key_id"] == key_id] == [True]
    assert answers(fresh) == (401, 401, grpc.StatusCode.UNAUTHENTICATED)


def test_an_admin_has_the_keys_of_its_tenant_alone(red: Caller, blue: Caller) -> None:
    status, made = red.call("POST", "/v1/keys", {"role": "read", "name": "a reader"})
    assert (status, made["tenant"], made["role"], made["created_by"]) == (201, "red", "read", red.key_id)
    assert red.call("POST", "/v1/keys", {"role": "read", "tenant": "blue"})[0] == 403
    assert {key["tenant"] for key in blue.get("keys")["items"]} == {"blue"}
    assert blue.call("DELETE", f"/v1/keys/{made['key_id']}")[0] == 404
    assert Caller(red.system, made["key"]).call("GET", "/v1/usage")[0] == 200
    for wrong in ({"role": "root"}, {"role": "read", "expires": "2020-01-01"}, {"role": "read", "name": "a\nb"}):
        assert red.call("POST", "/v1/keys", wrong)[0] == 422


def test_what_comes_through_a_key_belongs_to_its_tenant_whatever_it_says(
    guarded: System, red: Caller, blue: Caller, name: str
) -> None:
    spoof = {"spanledger.tenant": "blue"}
    request = trace_request({"name": name, "attributes": spoof}, resource=spoof)
    assert red.send(request.SerializeToString()) == 200
    as_json = MessageToDict(request)
    for one in as_json["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        one["traceId"], one["spanId"] = os.urandom(16).hex(), os.urandom(8).hex()
    assert red.send(json.dumps(as_json).encode(), content_type="application/json") == 200
    metadata = ("authorization", f"Bearer {red.key}")
    again = trace_request({"name": name}, resource=spoof).SerializeToString()
    assert export_grpc(guarded, again, metadata) == grpc.StatusCode.OK
    # the field that the spool itself writes, appended by the sender: 5002 = tenant
    smuggled = trace_request({"name": name}).SerializeToString() + b"\xd2\xb8\x02\x04blue"
    assert red.send(smuggled) == 200
    assert red.send(log_request(name, os.urandom(16)).SerializeToString(), "logs") == 200
    red.flush()
    count = f"SELECT count() FROM otel_traces WHERE SpanName = '{name}'"
    assert red.sql(count) == [[4]]
    assert blue.sql(count) == [[0]]
    assert red.sql(f"SELECT count() FROM otel_logs WHERE Body = '{name}'") == [[1]]
    assert blue.sql(f"SELECT count() FROM otel_logs WHERE Body = '{name}'") == [[0]]


def test_chat_lands_under_the_tenant_of_the_key(red: Caller, blue: Caller, life: Life) -> None:
    message = red.get("messages", life.reply["message_id"])
    assert (message["user_id"], message["usage"]["cost_usd"]) == (life.user, life.reply["usage"]["cost_usd"])
    trace = red.get("traces", life.reply["trace_id"])
    assert {one["name"] for one in trace["spans"]} >= {"invoke_workflow chat", "chat small"}
    assert any(log["body"] == "workflow completed" for log in trace["logs"])
    assert red.get("usage", user=life.user)["usage"]["llm_calls"] == 1
    assert blue.get("usage", user=life.user)["usage"]["llm_calls"] == 0


def test_another_tenants_things_are_not_there(red: Caller, blue: Caller, life: Life) -> None:
    for segments in (
        ("messages", life.reply["message_id"]),
        ("conversations", life.conversation),
        ("conversations", life.conversation, "messages"),
        ("traces", life.reply["trace_id"]),
        ("correlations", life.reply["correlation_id"]),
    ):
        assert red.get(*segments)
        status, problem = blue.call("GET", "/v1/" + "/".join(quote(segment, safe="") for segment in segments))
        assert (status, problem["title"]) == (404, "Not found")  # not 403: that would say that it exists
    assert life.conversation not in json.dumps(blue.get("conversations", limit=1000))
    assert blue.get("users", life.user, "usage")["usage"]["llm_calls"] == 0
    assert blue.get("usage", group_by="tenant,user", tenant="red")["groups"] == []
    assert red.key_id in json.dumps(red.get("audit-log", limit=1000))
    assert red.key_id not in json.dumps(blue.get("audit-log", limit=1000))
    assert red.key_id not in json.dumps(blue.get("compliance"))


READS = [
    "SELECT {foreign} FROM {table}",
    "SELECT {foreign} FROM default.{table}",
    "SELECT {foreign} FROM (SELECT * FROM {table}) AS mine",
    "WITH all_of_it AS (SELECT * FROM {table}) SELECT {foreign} FROM all_of_it",
    "SELECT {foreign} FROM numbers(1) AS n CROSS JOIN {table} AS t",
    "SELECT {foreign} FROM view(SELECT * FROM {table})",
    "SELECT {foreign} FROM {table} AS numbers",
    "SELECT {foreign} FROM (SELECT tenant FROM {table} UNION ALL SELECT tenant FROM {table})",
    "SELECT {foreign} FROM {table} PREWHERE 1",
    "SELECT {foreign} FROM {table} SAMPLE 1",
    "SELECT sum(number) FROM numbers(1) WHERE (SELECT {foreign} FROM {table}) > 0",
    "SELECT {foreign} FROM (SELECT 'x' AS tenant WHERE 'red' IN (SELECT tenant FROM {table}))",
]


@pytest.mark.parametrize("table", ["ledger", "genai_spans", "usage_1m", "messages"])
def test_sql_sees_one_tenant_however_it_asks(red: Caller, blue: Caller, life: Life, table: str) -> None:
    assert int(red.sql(f"SELECT countIf(tenant != 'blue') FROM {table}")[0][0]) > 0
    for query in READS:
        wish = {"query": query.format(table=table, foreign="countIf(tenant != 'blue')")}
        status, answer = blue.call("POST", "/v1/sql", wish)
        assert status == 422 if "SAMPLE" in query else status == 200, (query, answer)
        assert status == 422 or int(answer["data"][0][0]) == 0, query


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM ledger SETTINGS additional_table_filters = {}",
        "SELECT * FROM remote('127.0.0.1', default.ledger)",
        "SELECT * FROM merge('default', 'ledger')",
        "SELECT * FROM cluster('default', default.ledger)",
        "SELECT * FROM system.query_log",
        "SELECT * FROM file('registry.db')",
        "SELECT * FROM sqlite('registry.db', 'entries')",
    ],
)
def test_sql_has_no_way_around_the_tenant(blue: Caller, query: str) -> None:
    assert blue.call("POST", "/v1/sql", {"query": query})[0] == 422


def test_views_show_one_tenant_too(red: Caller, blue: Caller, life: Life) -> None:
    views = [row[0] for row in red.sql("SHOW TABLES") if row[0].endswith("_mv")]
    shown = 0
    for view in views:
        status, answer = blue.call("POST", "/v1/sql", {"query": f"SELECT countIf(tenant != 'blue') FROM {view}"})
        if status == 200:
            shown += 1
            assert int(answer["data"][0][0]) == 0, view
    assert shown > 3


def test_all_tenants_are_for_who_runs_the_machine(guarded: System, red: Caller, name: str) -> None:
    red.send(span(name))
    red.flush()
    assert red.call("POST", "/v1/sql", {"query": "SELECT 1", "all_tenants": True})[0] == 403
    query = f"SELECT count() FROM otel_traces WHERE SpanName = '{name}'"
    done = spanledger("sql", query, "--all-tenants", "--format", "csv", "--data-dir", guarded.data_dir)
    assert done.stdout.splitlines()[1:] == ["1"]


def test_conversations_of_the_same_name_know_nothing_of_each_other(red: Caller, blue: Caller, name: str) -> None:
    _, first = red.say(name, "My secret word is xylophone.")
    _, second = red.say(name, "What did I say?")
    _, other = blue.say(name, "What did I say?")
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"]
    _, alone = blue.say(f"{name}-fresh", "What did I say?")
    assert other["usage"]["input_tokens"] == alone["usage"]["input_tokens"]
    assert other["content"] == alone["content"]


def test_a_tenants_running_message_concerns_nobody_else(red: Caller, blue: Caller, name: str) -> None:
    with ThreadPoolExecutor(1) as background:
        running = background.submit(red.say, name, "Say 400 words", model="offline/slow", stream=True)
        while red.get("realtime")["in_flight_workflows"] == 0:
            assert not running.done()
        assert blue.get("realtime")["in_flight_workflows"] == 0
        assert blue.say(name, "hello")[0] == 200  # a conversation of the same name is another one
        assert not running.done()
        assert running.result()[0] == 200


def test_no_key_is_ever_written_down(guarded: System, keys: dict[str, str], red: Caller) -> None:
    red.say("written-down", "hello")
    red.call("GET", "/v1/usage", Authorization="Bearer " + keys["admin"][:-1])
    red.flush("spans")
    secret = keys["admin"].split("_", 2)[2][:-1]
    texts = spanledger(
        "sql",
        f"SELECT (SELECT count() FROM otel_logs WHERE position(concat(Body, toString(LogAttributes)), '{secret}') > 0)"
        f" + (SELECT count() FROM otel_traces WHERE position(toString(SpanAttributes), '{secret}') > 0"
        " AND position(toString(SpanAttributes), 'SELECT') = 0)",
        "--all-tenants",
        "--format",
        "csv",
        "--data-dir",
        guarded.data_dir,
    )
    assert secret not in guarded.stderr()
    assert texts.stdout.splitlines()[1:] == ["0"]


def test_commands_of_this_machine_need_no_key(guarded: System, keys: dict[str, str], tmp_path: Path, name: str) -> None:
    place = ("--data-dir", guarded.data_dir)
    assert spanledger("sql", "SELECT 1", *place).returncode == 0
    file = tmp_path / "one.pb"
    file.write_bytes(span(name, **{"spanledger.tenant": "blue"}))
    assert spanledger("ingest", file, *place).returncode == 0  # it may name the tenant
    assert Caller(guarded, keys["blue"]).sql(f"SELECT count() FROM otel_traces WHERE SpanName = '{name}'") == [[1]]
    assert spanledger("keys", "revoke", "aaaaaaaaaaaa", *place).returncode == 2
    assert (guarded.data_dir / "operator.token").stat().st_mode & 0o077 == 0
