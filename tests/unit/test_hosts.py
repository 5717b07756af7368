"""Which requests were meant for this service, by Host and Origin."""

import pytest

from spanledger.access.hosts import Hosts, Origins
from spanledger.settings import Settings

LOCAL = Hosts(Settings())
OPEN = Hosts(Settings(host="0.0.0.0"))
NAMED = Hosts(Settings(host="0.0.0.0", allowed_hosts="ledger.example, Other.Example"))
PROXIED = Hosts(Settings(allowed_hosts="ledger.example"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.8.9.1", "localhost.", ""]
)
def test_loopback_names_are_ours(host: str) -> None:
    assert LOCAL.misdirected(host) == ""


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1:8000",
     "0.0.0.0", "[::ffff:10.0.0.1]", "127.0.0.1@evil.example", "evil.example:127.0.0.1", "2130706433"],
)  # fmt: skip
def test_a_rebound_name_is_not(host: str) -> None:
    assert LOCAL.misdirected(host)


def test_names_matter_only_where_no_key_is_needed_or_where_they_are_given() -> None:
    assert OPEN.misdirected("anything.example") == ""
    assert NAMED.misdirected("anything.example")
    assert NAMED.misdirected("other.example:443") == PROXIED.misdirected("ledger.example") == ""


@pytest.mark.parametrize("hosts", [LOCAL, OPEN])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},  # another port is another origin
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8000"},
        {"origin": ""},
    ],
)
def test_writes_of_another_site_are_refused(hosts: Hosts, method: str, headers: dict[str, str]) -> None:
    assert hosts.foreign(method, {"host": "127.0.0.1:8000", **headers})


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://127.0.0.1:8000"}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}],
)
def test_our_own_pages_and_programs_may_write(headers: dict[str, str]) -> None:
    assert LOCAL.foreign("POST", {"host": "127.0.0.1:8000", **headers}) == ""


def test_a_proxys_name_is_an_origin_of_ours_and_so_is_the_one_of_cors() -> None:
    assert PROXIED.foreign("POST", {"host": "127.0.0.1:8000", "origin": "https://ledger.example"}) == ""
    assert LOCAL.foreign("GET", {"sec-fetch-site": "cross-site"}) == ""
    app = Hosts(Settings(), origins=Origins("https://app.example"))
    assert app.foreign("POST", {"sec-fetch-site": "cross-site", "origin": "https://app.example"}) == ""
    assert app.foreign("POST", {"sec-fetch-site": "cross-site", "origin": "https://evil.example"})


@pytest.mark.parametrize(
    ("setting", "origin", "allowed"),
    [
        ("https://app.example", "https://app.example", True),
        ("https://app.example/", "https://app.example", True),
        ("https://APP.example", "https://app.example", True),
        ("https://a.example, http://localhost:3000", "http://localhost:3000", True),
        ("https://app.example", "https://app.example:8443", False),
        ("https://app.example", "http://app.example", False),
        ("https://app.example", "null", False),
        ("https://app.example", "", False),
        ("", "https://app.example", False),
    ],
)
def test_the_origins_of_the_setting_are_told_to_browsers_and_no_other(setting: str, origin: str, allowed: bool) -> None:
    origins = Origins(setting)
    assert origins.allow(origin) is allowed
    assert origins.headers(origin).get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert ("Vary" in origins.headers(origin)) is bool(setting)  # an answer to one site is not kept for another


def test_every_origin_is_allowed_by_a_star() -> None:
    for origin in ("https://app.example", "null"):
        assert Origins("*").headers(origin)["Access-Control-Allow-Origin"] == origin
    assert Origins("*").headers("") == {"Vary": "Origin"}


def test_a_beacon_which_is_sent_as_with_credentials_may_come_from_allowed_origins_alone() -> None:
    for setting in ("https://app.example", "*"):
        assert Origins(setting).headers("https://app.example")["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Allow-Credentials" not in Origins("https://app.example").headers("https://evil.example")
