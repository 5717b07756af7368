"""The audit trail and the compliance report, over HTTP: complete, tenant by tenant, and nobody else's to write."""

import csv
import io
import json
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guarded import PROTOBUF, Caller, make_key
from otlp_make import attributes, log_request, trace_request
from system import System


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("audit") / "data").start()
    yield system
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()


@pytest.fixture
def tenant(audited: System) -> Caller:
    """An admin of a tenant of its own."""
    return Caller(audited, make_key(audited.data_dir, f"t-{uuid.uuid4().hex[:12]}", "admin"))


def trail(caller: Caller, **filters: Any) -> list[dict[str, Any]]:
    """The entries, oldest first, when all that waits is told."""
    caller.flush("spans")
    items: list[dict[str, Any]] = caller.get("audit-log", limit=1000, **filters)["items"]
    return items[::-1]


def told(entries: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(entry["action"], entry["outcome"], entry["target"]) for entry in entries}


def test_who_did_what_to_which_data_is_told(tenant: Caller) -> None:
    assert tenant.say("talk", "hello", user_id="ann")[0] == 200
    tenant.flush("spans")
    tenant.get("conversations", "talk")
    tenant.call("GET", "/v1/conversations/of%2Fsomebody")
    tenant.sql("SELECT count() FROM messages")
    tenant.call("POST", "/v1/sql", {"query": "DROP TABLE messages"})
    tenant.call("PUT", "/v1/limits/day", {"scope": "user", "tokens_per_day": 9})
    tenant.call("DELETE", "/v1/limits/day")
    assert tenant.send(trace_request({"name": "x"}).SerializeToString()) == 200
    entries = [entry for entry in trail(tenant) if entry["actor"] == tenant.key_id]
    assert told(entries) >= {
        ("key.use", "allowed", "api"),
        ("key.use", "allowed", "otlp"),
        ("data.write", "allowed", "/v1/conversations/talk/messages"),
        ("data.read", "allowed", "/v1/conversations/talk"),
        ("data.read", "failed", "/v1/conversations/of/somebody"),
        ("limit.put", "allowed", "limit/day"),
        ("limit.remove", "allowed", "limit/day"),
    }
    queries = {(entry["outcome"], entry["facts"]["query"]) for entry in entries if entry["action"] == "data.query"}
    assert queries == {("allowed", "SELECT count() FROM messages"), ("failed", "DROP TABLE messages")}
    assert all(entry["sealed"] for entry in entries)


def test_refusals_are_told_to_whom_they_concern(audited: System, tenant: Caller) -> None:
    name = next(key["tenant"] for key in tenant.get("keys")["items"])
    reader = Caller(audited, make_key(audited.data_dir, name, "read"))
    assert reader.say("talk", "hello")[0] == 403
    assert reader.send(trace_request({"name": "x"}).SerializeToString()) == 403
    tenant.call("DELETE", f"/v1/keys/{reader.key_id}")
    assert reader.call("GET", "/v1/usage")[0] == 401
    assert reader.send(trace_request({"name": "x"}).SerializeToString()) == 401
    entries = trail(tenant, actor=reader.key_id)
    assert told(entries) >= {
        ("permission.refuse", "denied", "POST /v1/conversations/talk/messages"),
        ("permission.refuse", "denied", "otlp"),
        ("key.refuse", "denied", "api"),
        ("key.refuse", "denied", "otlp"),
    }
    assert {entry["event"] for entry in entries if entry["outcome"] == "denied"} == {"spanledger.security"}
    (refused,) = [entry for entry in entries if entry["action"] == "key.refuse" and entry["target"] == "api"]
    assert refused["facts"]["reason"] == "revoked"


def test_a_flood_of_bad_requests_is_counted_and_not_a_flood_of_entries(audited: System, tenant: Caller) -> None:
    for _ in range(50):
        assert tenant.call("POST", "/v1/conversations/c/messages", {})[0] == 422
    for _ in range(10):
        assert tenant.send(b"junk") == 400
    entries = [entry for entry in trail(tenant) if entry["action"] == "request.validate"]
    route = "POST /v1/conversations/{conversation_id}/messages"
    counts = {target: sum(e["count"] for e in entries if e["target"] == target) for target in (route, "otlp")}
    assert counts == {route: 50, "otlp": 10}
    assert len(entries) <= 8
    assert {(e["facts"]["status"], e["facts"].get("kind")) for e in entries if e["target"] == route} == {
        ("422", "invalid_request")
    }
    assert tenant.get("compliance")["validation_failures"] == 60


def test_a_sender_cannot_write_the_trail(tenant: Caller) -> None:
    """It can send log records that look like entries, also copies of true ones with other words."""
    tenant.get("usage")
    true = trail(tenant)[0]
    rows = tenant.sql(
        "SELECT LogAttributes, toUnixTimestamp64Nano(Timestamp) FROM otel_logs"
        " WHERE EventName = 'spanledger.audit' ORDER BY Timestamp LIMIT 1"
    )
    copied, at_ns = dict(rows[0][0]), int(rows[0][1])
    for change, time_ns in (
        ({}, at_ns),  # a true copy is no second entry
        ({}, at_ns - 1),
        ({"spanledger.audit.outcome": "denied"}, at_ns),
        ({"spanledger.audit.count": "1000000"}, at_ns),
    ):
        forged = log_request("forged", os.urandom(16), event_name="spanledger.audit", time_unix_nano=time_ns)
        record = forged.resource_logs[0].scope_logs[0].log_records[0]
        attributes(record.attributes, {**copied, **change})
        assert tenant.send(forged.SerializeToString(), "logs", PROTOBUF) == 200
    entries = trail(tenant)
    assert sorted(entry["outcome"] for entry in entries if not entry["sealed"]) == ["allowed", "allowed", "denied"]
    assert entries.count(true) == 1
    report = tenant.get("compliance")
    assert report["unsealed"] == 1_000_002
    assert report["happenings"] < 1000


def test_the_trail_has_pages_and_filters(tenant: Caller) -> None:
    for number in range(5):
        tenant.call("GET", f"/v1/conversations/page-{number}")
    whole = trail(tenant, action="data.read")
    pages, cursor = [], None
    while True:
        page = tenant.get("audit-log", action="data.read", limit=2, **({"cursor": cursor} if cursor else {}))
        pages += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [p for p in pages if "page-" in p["target"]] == [w for w in whole[::-1] if "page-" in w["target"]]
    assert len([p for p in pages if "page-" in p["target"]]) == 5
    assert {entry["action"].split(".")[0] for entry in trail(tenant, action="data.*")} == {"data"}
    assert trail(tenant, outcome="denied") == []
    assert trail(tenant, actor="nobody") == []
    now = datetime.now(UTC)
    assert trail(tenant, from_=(now + timedelta(hours=1)).isoformat()) == []
    assert trail(tenant, to=(now - timedelta(hours=1)).isoformat()) == []
    assert tenant.call("GET", "/v1/audit-log?cursor=xyz")[0] == 422
    assert tenant.call("GET", "/v1/audit-log?actr=x")[0] == 422


def test_the_report_says_who_did_what_and_how_often(tenant: Caller) -> None:
    for _ in range(3):
        tenant.call("GET", "/v1/conversations/report")
    tenant.flush("spans")
    report = tenant.get("compliance", from_="2020-01-01", to="2100-01-01")
    (row,) = [row for row in report["rows"] if row["target"] == "/v1/conversations/report"]
    assert (row["actor"], row["action"], row["outcome"], row["count"]) == (tenant.key_id, "data.read", "failed", 3)
    assert row["first_at"] <= row["last_at"]
    assert (report["from"], report["to"]) == ("2020-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z")
    assert report["happenings"] == sum(row["count"] for row in report["rows"])
    assert tenant.get("compliance", from_="2020-01-01", to="2020-01-02")["rows"] == []


def test_no_text_in_the_report_becomes_a_formula(tenant: Caller) -> None:
    for wicked in ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", 'quo"te, and\nline'):
        limit = json.dumps(wicked)
        assert limit
        tenant.say(wicked, "hello")
        tenant.call(
            "PUT", f"/v1/limits/{wicked.encode().hex()}", {"scope": "user", "tokens_per_day": 1, "match": wicked}
        )
        forged = log_request("x", os.urandom(16), event_name="spanledger.audit", time_unix_nano=2)
        record = forged.resource_logs[0].scope_logs[0].log_records[0]
        attributes(
            record.attributes,
            {f"spanledger.audit.{name}": wicked for name in ("action", "target", "outcome")}
            | {"spanledger.key.id": wicked},
        )
        tenant.send(forged.SerializeToString(), "logs", PROTOBUF)
    tenant.flush("spans")
    status, headers, raw = tenant.system.request("GET", "/v1/compliance?format=csv", **tenant.headers)
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.reader(io.StringIO(raw.decode(), newline="")))
    assert rows[0][:5] == ["event", "actor", "action", "target", "outcome"]
    cells = [cell for row in rows[1:] for cell in row]
    assert "'=cmd|' /C calc'!A0" in cells
    assert not [cell for cell in cells if cell.lstrip(" ")[:1] in set("=+-@\t\r\n")]
    assert all(len(row) == len(rows[0]) for row in rows)
    assert tenant.call("GET", "/v1/compliance?format=xlsx")[0] == 422
