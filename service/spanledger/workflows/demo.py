"""A small workload for a first look: three users, five conversations, both workflows, streamed answers, a retry.

It drives a running service over HTTP, as any client would, with the offline models alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

_TIMEOUT_S = 120.0  # the first message may wait until LiteLLM is loaded


@dataclass(frozen=True, slots=True)
class Script:
    """One conversation of the demo."""

    conversation_id: str
    user_id: str
    workflow: str
    model: str
    messages: tuple[str, ...]
    stream: bool = False
    fallbacks: tuple[str, ...] = ()


SCRIPTS = (
    Script(
        "demo-trip",
        "ada",
        "assistant",
        "offline/small",
        ("How far is 42 km in miles?", "And what is 42 * 1.609344 + 7?", "What time is it? I have to go."),
    ),
    Script(
        "demo-report",
        "grace",
        "chat",
        "offline/large",
        ("Write the report in 180 words.", "Again in 60 words, please.", "Now one line of 12 words."),
        stream=True,
    ),
    Script("demo-proof", "grace", "chat", "offline/reasoner", ("Prove that the books balance.", "Are you sure?")),
    Script("demo-retry", "linus", "chat", "offline/flaky-429", ("The first attempt is refused; does it show?",)),
    Script(
        "demo-fallback",
        "linus",
        "assistant",
        "offline/error-500",
        ("What is (3 + 4) * 12?",),
        stream=True,
        fallbacks=("offline/small",),
    ),
)


async def run(
    base_url: str, token: str = "", on_reply: Callable[[str], None] = lambda conversation_id: None
) -> list[str]:
    """Plays the scripts against the service at `base_url`; returns the ids of the conversations, in order.

    `on_reply` hears the conversation's id after each answer. Raises httpx.HTTPError.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=base_url, timeout=_TIMEOUT_S, headers=headers) as client:
        for script in SCRIPTS:
            for content in script.messages:
                await _send(client, script, content)
                on_reply(script.conversation_id)
    return [script.conversation_id for script in SCRIPTS]


async def _send(client: httpx.AsyncClient, script: Script, content: str) -> None:
    body: dict[str, Any] = {
        "content": content,
        "user_id": script.user_id,
        "workflow": script.workflow,
        "model": script.model,
        "fallbacks": list(script.fallbacks),
        "stream": script.stream,
    }
    url = f"/v1/conversations/{script.conversation_id}/messages"
    async with client.stream("POST", url, json=body) as response:
        response.raise_for_status()
        async for _ in response.aiter_bytes():
            pass
