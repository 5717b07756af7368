"""A system that asks for keys, and callers who hold one."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import preloaded
from system import System

PROTOBUF = "application/x-protobuf"


def spanledger(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """A command as a person runs it."""
    done = preloaded.run(["-m", "spanledger.cli", *map(str, arguments)], timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def make_key(data_dir: Path, tenant: str, role: str, *more: str) -> str:
    """The text of a new key, made on the command line."""
    done = spanledger("keys", "create", "--tenant", tenant, "--role", role, *more, "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass
class Caller:
    """Somebody with a key (empty: none) before a system."""

    system: System
    key: str

    @property
    def key_id(self) -> str:
        return self.key.split("_")[1]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body."""
        raw = None if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **self.headers, **headers}
        status, _, answer = self.system.request(method, path, raw, **given)
        return status, answer

    def get(self, *segments: str, **params: Any) -> Any:
        path = "/v1/" + "/".join(quote(segment, safe="") for segment in segments)
        named = {name.rstrip("_"): value for name, value in params.items()}
        status, answer = self.call("GET", path + (f"?{urlencode(named)}" if named else ""))
        assert status == 200, answer
        return answer

    def say(self, conversation: str, content: str, **more: Any) -> tuple[int, Any]:
        path = f"/v1/conversations/{quote(conversation, safe='')}/messages"
        return self.call("POST", path, {"content": content, **more})

    def sql(self, query: str) -> list[list[Any]]:
        status, answer = self.call("POST", "/v1/sql", {"query": query})
        assert status == 200, answer
        rows: list[list[Any]] = answer["data"]
        return rows

    def send(self, body: bytes, signal: str = "traces", content_type: str = PROTOBUF) -> int:
        """Sends OTLP over HTTP; the status."""
        given = {"Content-Type": content_type, **self.headers}
        return self.system.request("POST", f"/v1/{signal}", body, self.system.otlp_port, **given)[0]

    def flush(self, only: str = "books") -> None:
        """What was sent or emitted is in the books; with `spans`, what is told of requests that only read, too."""
        status, answer = self.call("POST", f"/v1/flush?only={only}", {})
        assert status == 200, answer
