"""One system as several processes over one server: door and settlement, chat, API, each with its role."""

import time
from pathlib import Path

import pytest

from spanledger import settings
from spanledger.errors import SettingsError
from spanledger.store.client import Store
from spanledger.up import check_roles
from system import System

TIMEOUT_S = 30.0


def test_parts_that_run_apart_make_one_system(server_url: str, remote: Store, tmp_path: Path) -> None:
    door = System(tmp_path / "door", clickhouse_url=server_url, roles="ingest,settle").start()
    chat = System(tmp_path / "chat", clickhouse_url=server_url, roles="chat")
    api = System(tmp_path / "api", clickhouse_url=server_url, roles="api")
    try:
        chat.start(SPANLEDGER_OTLP_ENDPOINT=f"http://127.0.0.1:{door.otlp_port}")
        api.start()
        said = chat.post("/v1/conversations/apart/messages", {"content": "hello", "user_id": "ada"})
        booked = _booked(api, said["message_id"])
        assert booked["usage"]["total_tokens"] == said["usage"]["total_tokens"] > 0
        assert booked["usage"]["cost_usd"] == said["usage"]["cost_usd"]
        assert api.get("audit")["balanced"]
        assert api.request("POST", "/v1/conversations/apart/messages", b"{}")[0] in (404, 405)
        assert chat.request("GET", "/v1/usage")[0] == 404
        assert {each.request("GET", "/readyz")[0] for each in (chat, api)} == {200}
    finally:
        codes = [each.stop() for each in (api, chat, door) if each.process is not None]
    assert codes == [0, 0, 0]


def _booked(api: System, message_id: str) -> dict[str, dict[str, object]]:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        status, _, body = api.request("GET", f"/v1/messages/{message_id}")
        if status == 200 and body["usage"]["llm_calls"]:
            found: dict[str, dict[str, object]] = body
            return found
        assert time.monotonic() < deadline, body


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"roles": "api,web"}, "'web' is none; there are ingest, settle, chat, api"),
        ({"roles": "api"}, "give a server with --clickhouse-url"),
        ({"roles": "chat,api", "clickhouse_url": "http://127.0.0.1:1/x"}, "SPANLEDGER_OTLP_ENDPOINT"),
    ],
)
def test_roles_that_cannot_work_are_refused(flags: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_roles(settings.load({}, **flags))
