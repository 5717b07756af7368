"""Read-only SQL: what is refused, what is limited, and that only one tenant's rows come out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger_rows import Post
from spanledger.errors import BadRequest
from spanledger.stats.sandbox.sandbox import Sandbox
from spanledger.store.client import Store


@pytest.fixture
def sandbox(store: Store, tenant: str) -> Iterator[Sandbox]:
    opened = Sandbox(store, tenant)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count() FROM ledger",
        "SELECT count() FROM default.usage_1m;",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x -- comment",
        "SELECT number AS `a b` FROM numbers(3) AS n WHERE number IN (SELECT 1)",
        "SHOW TABLES",
        "DESCRIBE ledger",
        "SHOW CREATE TABLE ledger",
        "EXPLAIN SELECT 1",
        "FROM otel_traces SELECT count()",
        "SELECT * FROM messages FINAL LIMIT 1",
    ],
)
def test_reading_is_allowed(sandbox: Sandbox, query: str) -> None:
    assert sandbox.run(query, "csv")


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE ledger",
        "INSERT INTO ledger (tenant) VALUES ('x')",
        "ALTER TABLE ledger DELETE WHERE 1",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "SET readonly = 0",
        "KILL QUERY WHERE 1",
        "SYSTEM FLUSH LOGS",
        "OPTIMIZE TABLE ledger",
        "USE system",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT 1; DROP TABLE ledger",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', system.one)",
        "SELECT * FROM merge('system', 'processes') AS x",
        "SELECT * FROM cluster('default', system.processes)",
        "SELECT * FROM executable('x', 'TSV', 'a String')",
        "SELECT * FROM eval('1')",
        "SELECT file('../../../../etc/passwd')",
        "SELECT FILE('../../../../etc/passwd') AS f",
        "SELECT `file`('../../../../etc/passwd') AS `x (children 1)`",
        "SELECT arrayMap(x -> file(x), ['a'])",
        "SELECT (SELECT file('a'))",
        "SELECT * FROM system.processes",
        "SELECT * FROM `system`.`processes` AS p",
        "SELECT * FROM view(SELECT * FROM system.processes)",
        "SELECT 1 IN system.processes",
        "WITH x AS (SELECT * FROM system.users) SELECT * FROM x",
        "SELECT * FROM information_schema.tables",
        "EXPLAIN SELECT * FROM system.processes",
        "DESCRIBE TABLE file('/etc/passwd')",
        "SELECT 1 AS `a\nTableIdentifier system.one`",
        "",
        ";",
        "SELEC 1",
        "SELECT * FROM no_such_table",
        "SELECT 'unclosed",
    ],
)
def test_anything_else_is_refused(sandbox: Sandbox, query: str) -> None:
    with pytest.raises(BadRequest) as refused:
        sandbox.run(query, "csv")
    assert "DB::Exception" not in str(refused.value)


@pytest.mark.parametrize("before", ["SELECT 1", "(SELECT 1)", "EXPLAIN SELECT 1", "SHOW TABLES", "DESCRIBE ledger"])
def test_nothing_is_written_to_a_file(sandbox: Sandbox, tmp_path: Path, before: str) -> None:
    with pytest.raises(BadRequest, match="OUTFILE"):
        sandbox.run(f"{before} INTO OUTFILE '{tmp_path}/out.txt'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("SELECT number FROM numbers(1000000)", "add a LIMIT"),
        ("SELECT groupArray(number) FROM numbers(1000000000)", "memory"),
    ],
)
def test_a_query_over_its_limits_is_stopped_with_advice(sandbox: Sandbox, query: str, hint: str) -> None:
    with pytest.raises(BadRequest, match=hint):
        sandbox.run(query)
    assert sandbox.run("SELECT 1", "csv") == b'"1"\n1\n'  # and leaves nothing behind for the next


@pytest.mark.parametrize(
    "table",
    [
        "ledger",
        "default.ledger",
        "usage_1m_mv",
        "conversation_usage AS ledger",
        "ledger AS schema_migrations",
        "(SELECT * FROM user_usage_1h)",
        "view(SELECT * FROM message_usage)",
    ],
)
def test_only_rows_of_the_tenant_come_out(store: Store, post: Post, table: str) -> None:
    for owner in ("it's", "b\\"):
        post(tenant=owner)
    for owner in ("it's", "b\\"):
        sandbox = Sandbox(store, owner)
        found = json.loads(sandbox.run(f"SELECT DISTINCT tenant FROM {table}"))
        assert found["data"] == [[owner]]
        sandbox.close()


def test_the_operator_sees_all_tenants_and_is_fenced_in_as_well(store: Store, tenant: str, post: Post) -> None:
    post(tenant=f"{tenant}-a")
    post(tenant=f"{tenant}-b")
    operator = Sandbox(store, None)
    query = f"SELECT count(DISTINCT tenant) FROM ledger WHERE startsWith(tenant, '{tenant}-')"
    assert operator.run(query, "csv").splitlines()[1] == b"2"
    with pytest.raises(BadRequest, match="only reading"):
        operator.run("DROP TABLE ledger")
    operator.close()


def test_formats(sandbox: Sandbox) -> None:
    query = "SELECT toDecimal128('0.000000000000001', 15) AS cost, toInt64(9007199254740993) AS tokens"
    assert json.loads(sandbox.run(query))["data"] == [["0.000000000000001", 9007199254740993]]
    assert sandbox.run(query, "csv") == b'"cost","tokens"\n0.000000000000001,9007199254740993\n'
    assert "9007199254740993" in sandbox.run(query, "pretty").decode()
    with pytest.raises(BadRequest, match="json, csv, pretty"):
        sandbox.run(query, "xml")
