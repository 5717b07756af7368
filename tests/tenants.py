"""A tenant of its own on a system that others use too: its registry, its books, its key."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from guarded import Caller
from system import System


@contextmanager
def own_tenant(system: System, role: str = "admin") -> Iterator[Caller]:
    """Its admin (or another role); the key ends with the block."""
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    body = json.dumps({"role": role, "tenant": tenant}).encode()
    status, _, made = system.request("POST", "/v1/keys", body, Content_Type="application/json")
    assert status == 201, made
    try:
        yield Caller(system, made["key"])
    finally:
        assert system.request("DELETE", f"/v1/keys/{made['key_id']}")[0] == 204


def ask(caller: Caller, conversation: str, content: str = "hello", **more: Any) -> dict[str, Any]:
    """An answered message."""
    status, answer = caller.say(conversation, content, **more)
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


def put(caller: Caller, path: str, body: Any) -> dict[str, Any]:
    status, answer = caller.call("PUT", path, body)
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


def refused(caller: Caller, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Status and detail of a problem."""
    status, answer = caller.call(method, path, body)
    assert status >= 400, answer
    return status, str(answer["detail"])
