"""access.sql gives what users.d/spanledger.xml gives, which a real server runs (tests/server/test_server.py).

A server started without a package of its own keeps users in XML only, so the SQL is compared, not run.
"""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[2] / "clickhouse" / "server"
XML = ElementTree.parse(SERVER / "users.d" / "spanledger.xml").getroot()
SQL = [line for line in (SERVER / "access.sql").read_text().splitlines() if not line.startswith("--")]
GRANT = re.compile(r"([A-Z, ]+) ON ([\w.*]+)")


def in_sql(pattern: str) -> list[re.Match[str]]:
    return [found for line in SQL if (found := re.fullmatch(pattern, line))]


def rights(grant: str) -> set[tuple[str, str]]:
    """(right, where) of what stands between GRANT and TO."""
    return {
        (right.strip(), where)
        for rights, where in GRANT.findall(grant)
        for right in rights.split(",")
        if right.strip() and not where.startswith("spanledger_all.")
    }


def xml_rights(user: str) -> set[tuple[str, str]]:
    return {one for query in XML.findall(f"users/{user}/grants/query") for one in rights((query.text or "")[6:])}


@pytest.mark.parametrize(
    ("xml", "sql"),
    [
        ("spanledger_app", "spanledger_app"),
        ("spanledger_ingest", "spanledger_ingest"),
        ("spanledger_reader", "spanledger_reading"),
    ],
)
def test_users_have_the_same_rights(xml: str, sql: str) -> None:
    granted = {one for found in in_sql(rf"GRANT (.+) TO {sql};") for one in rights(found[1])}
    assert granted == xml_rights(xml)


def test_readers_are_filtered_in_the_same_tables_and_nobody_else_is() -> None:
    filtered = {
        (table.tag, (table.findtext("filter") or "").replace("default", "acme"))
        for table in XML.findall("users/spanledger_reader/databases/spanledger/*")
    }
    policy = r"CREATE ROW POLICY IF NOT EXISTS \w+ ON spanledger\.(\w+) USING "
    acme = in_sql(policy + r"(.+) TO spanledger_reader_acme;")
    others = in_sql(policy + "1 TO ALL EXCEPT spanledger_reading;")
    assert {(found[1], found[2]) for found in acme} == filtered
    assert {found[1] for found in others} == {table for table, _ in filtered}


@pytest.mark.parametrize("profile", ["admin", "app", "ingest", "reader"])
def test_profiles_have_the_same_settings_and_limits(profile: str) -> None:
    found = XML.find(f"profiles/spanledger_{profile}")
    (sql,) = in_sql(rf"CREATE SETTINGS PROFILE IF NOT EXISTS spanledger_{profile} SETTINGS (.+);")
    assert found is not None
    wanted = set()
    for setting in found:
        limit = found.find(f"constraints/{setting.tag}")
        if setting.tag != "constraints":
            most = f" MAX {limit.findtext('max')}" if limit is not None and limit.find("max") is not None else ""
            fixed = " CONST" if limit is not None and limit.find("const") is not None else ""
            wanted.add(f"{setting.tag} = {setting.text}{most}{fixed}")
    assert {one.replace("'", "") for one in sql[1].split(", ")} == wanted


def test_the_quota_of_readers_is_the_same_and_binds_them() -> None:
    (sql,) = in_sql(
        r"CREATE QUOTA IF NOT EXISTS spanledger_reader KEYED BY user_name FOR INTERVAL 1 minute "
        r"MAX queries = (\d+), execution_time = (\d+) TO spanledger_reading;"
    )
    quota = XML.find("quotas/spanledger_reader/interval")
    assert quota is not None
    assert [quota.findtext(name) for name in ("duration", "queries", "execution_time")] == ["60", sql[1], sql[2]]


def test_every_user_has_its_profile() -> None:
    for user in ("admin", "app", "ingest"):
        assert in_sql(rf"CREATE USER .+ spanledger_{user} .+ SETTINGS PROFILE 'spanledger_{user}';"), user
    assert in_sql(r"CREATE ROLE .+ spanledger_reading SETTINGS PROFILE 'spanledger_reader';")
