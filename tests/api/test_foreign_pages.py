"""What a web page elsewhere can do through the user's browser: nothing, on either port."""

import gzip
import json
from collections.abc import Iterator

import pytest

from system import WITHOUT_CHAT, System

JSON = {"Content_Type": "application/json"}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("pages") / "data", roles=WITHOUT_CHAT).start()
    yield running
    assert running.stop() == 0


@pytest.mark.parametrize("target", ["/healthz", "/v1/usage", "/openapi.json", "/"])
def test_a_rebound_name_reads_nothing(books: System, target: str) -> None:
    status, headers, problem = books.request("GET", target, Host="evil.example:8000")
    assert (status, problem["type"]) == (421, "urn:spanledger:problem:misdirected-request")
    assert headers["content-type"] == "application/problem+json"


def test_a_rebound_name_makes_no_key(books: System) -> None:
    wish = json.dumps({"role": "admin"}).encode()
    assert books.request("POST", "/v1/keys", wish, Host="evil.example", **JSON)[0] == 421
    assert books.request("GET", "/v1/keys")[2] == {"items": []}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("site", [{"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}])
def test_another_site_writes_nothing_with_or_without_a_body(books: System, method: str, site: dict[str, str]) -> None:
    for body, kind in ((None, {}), (b"{}", JSON), (b"{}", {"Content_Type": "text/plain"})):
        assert books.request(method, "/v1/flush", body, **site, **kind)[0] == 403


def test_the_otlp_port_has_the_same_two_checks(books: System) -> None:
    otlp = {"Content_Type": "application/json"}
    body = b'{"resourceSpans":[]}'
    assert books.request("POST", "/v1/traces", body, books.otlp_port, **otlp)[0] == 200
    assert books.request("POST", "/v1/traces", body, books.otlp_port, Host="evil.example", **otlp)[0] == 421
    assert books.request("POST", "/v1/traces", body, books.otlp_port, Origin="https://evil.example", **otlp)[0] == 403


def test_answers_are_neither_kept_nor_guessed_at(books: System) -> None:
    for target in ("/healthz", "/v1/usage", "/nowhere"):
        headers = books.request("GET", target)[1]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_an_answer_that_would_be_too_long_is_cut_and_says_so(books: System) -> None:
    """A small upload that would be read back as a hundred megabytes."""
    texts = [{"key": f"k{number}", "value": {"stringValue": "x" * 1000}} for number in range(40_000)]
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "large", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    otlp = {"Content_Type": "application/json", "Content_Encoding": "gzip"}
    for span_id in ("cd" * 8, "ce" * 8):
        one = {**span, "spanId": span_id, "attributes": texts}
        packed = gzip.compress(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}).encode())
        assert len(packed) < 400_000
        assert books.request("POST", "/v1/traces", packed, books.otlp_port, **otlp)[0] == 200
    books.flush()
    status, headers, trace = books.request("GET", "/v1/traces/" + "ab" * 16)
    assert status == 200
    assert int(headers["content-length"]) < 16 * 1024 * 1024
    assert min(one["left_out"] for one in trace["spans"]) > 0


def test_the_data_folder_is_nobody_elses(books: System) -> None:
    assert books.data_dir.stat().st_mode & 0o077 == 0
    for path in books.data_dir.iterdir():
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0, path
