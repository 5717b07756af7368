"""What a browser needs to let a page's exporter send OTLP here: preflights, and answers to beacons."""

from pathlib import Path

import httpx

from otlp_make import trace_request
from system import WITHOUT_CHAT, System

APP, OTHER = "https://chat.example", "https://evil.example"


def test_pages_of_the_named_origin_may_send_with_their_own_headers_and_as_beacons(tmp_path: Path) -> None:
    system = System(tmp_path / "data", roles=WITHOUT_CHAT).start(SPANLEDGER_OTLP_CORS_ORIGIN=APP)
    url = f"http://127.0.0.1:{system.otlp_port}/v1/traces"

    def preflight(origin: str, wanted: str) -> httpx.Headers:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
        return httpx.options(url, headers=asked).headers

    told = preflight(APP, "content-type,x-team")
    assert told["Access-Control-Allow-Origin"] == APP
    assert told["Access-Control-Allow-Credentials"] == "true"
    assert told["Access-Control-Allow-Headers"] == "content-type,x-team"
    assert "POST" in told["Access-Control-Allow-Methods"]
    assert "Authorization" in preflight(APP, "no header; at all")["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in preflight(OTHER, "content-type")

    body = trace_request({"name": "x"}).SerializeToString()
    headers = {"Content-Type": "application/x-protobuf", "Sec-Fetch-Site": "cross-site", "Cookie": "a=b"}
    sent = httpx.post(url, content=body, headers={**headers, "Origin": APP, "X-Team": "1"})
    assert sent.status_code == 200
    assert sent.headers["Access-Control-Allow-Credentials"] == "true"
    assert httpx.post(url, content=body, headers={**headers, "Origin": OTHER}).status_code == 403
    assert system.stop() == 0
