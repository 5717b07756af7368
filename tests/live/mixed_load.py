"""Messages of every kind at once against a running system, and what each of them must have become."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from mixed_provider import PIECES, WORDS, Call, Providers
from system import System

_KINDS = {  # behaviour, whether it streams: how many of a hundred
    ("plain", False): 34,
    ("plain", True): 24,
    ("no-usage", False): 3,
    ("no-usage", True): 3,
    ("dear", False): 4,
    ("dear", True): 3,
    ("flaky", False): 4,
    ("flaky", True): 3,
    ("limited", False): 3,
    ("broken", False): 3,
    ("broken", True): 2,
    ("mute", False): 1,
    ("mute", True): 1,
    ("cut", True): 4,
    ("hangs", True): 8,  # the client leaves after the first piece
}
_PROVIDERS = ("openai", "anthropic", "gemini")


@dataclass(frozen=True)
class Sent:
    """A message of the load. `model` is what its provider was asked for."""

    number: int
    provider: str
    behaviour: str
    stream: bool

    @property
    def model(self) -> str:
        return f"{'claude-' if self.provider == 'anthropic' else ''}{self.behaviour}-{self.number}"

    @property
    def conversation(self) -> str:
        return f"load-{self.number % 97}"


def plan(count: int, seed: int = 6) -> list[Sent]:
    """`count` messages in a fixed mixture. Only OpenAI's format can say a price."""
    kinds = random.Random(seed).choices(list(_KINDS), weights=list(_KINDS.values()), k=count)
    return [
        Sent(number, _PROVIDERS[number % 3] if behaviour != "dear" else "openai", behaviour, stream)
        for number, (behaviour, stream) in enumerate(kinds)
    ]


async def send_all(system: System, messages: Iterable[Sent], at_once: int = 16) -> Counter[int]:
    """The statuses of the answers; 0: left in the middle."""
    statuses: Counter[int] = Counter()
    waiting = iter(messages)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{system.port}", timeout=600) as client:

        async def worker() -> None:
            for message in waiting:
                statuses[await _send(client, message)] += 1

        await asyncio.gather(*(worker() for _ in range(at_once)))
    return statuses


async def _send(client: httpx.AsyncClient, message: Sent) -> int:
    path = f"/v1/conversations/{message.conversation}/messages"
    body = {
        "content": "count to five",
        "model": f"{message.provider}/{message.model}",
        "stream": message.stream,
        "user_id": f"user-{message.number % 13}",
    }
    if not message.stream:
        return (await client.post(path, json=body)).status_code
    async with client.stream("POST", path, json=body) as response:
        async for line in response.aiter_lines():
            if message.behaviour == "hangs" and line.startswith("data") and response.status_code == 200:
                return 0
        return response.status_code


@dataclass(frozen=True)
class Told:
    """A call as the books have it."""

    served: bool
    estimated: bool
    input_tokens: int | None
    output_tokens: int | None
    error_type: str


_CALLS = """
SELECT request_model, status, error_type, usage_estimated, input_tokens, output_tokens
FROM genai_spans FINAL
WHERE role = 'inference' AND startsWith(conversation_id, 'load-')
ORDER BY started_at
LIMIT 100000
"""


def told(system: System) -> dict[str, list[Told]]:
    """The calls in the books by model, in order."""
    calls: dict[str, list[Told]] = {}
    for model, _, error, estimated, read, written in system.post("/v1/sql", {"query": _CALLS})["data"]:
        served = read is not None or written is not None
        calls.setdefault(model, []).append(Told(served, bool(estimated), _int(read), _int(written), error))
    return calls


def differences(sent: Iterable[Sent], providers: Providers, books: dict[str, list[Told]]) -> list[str]:
    """Where the books do not say what the providers' log says."""
    served_for: dict[str, list[Call]] = {}
    for call in providers.log:
        served_for.setdefault(call.model, []).append(call)
    found = []
    for message in sent:
        ours, theirs = books.get(message.model, []), served_for.get(message.model, [])
        if len(ours) != len(theirs):
            found.append(f"{message}: {len(ours)} calls in the books, {len(theirs)} on the wire")
        else:
            found += [f"{message}: {t} for {c}" for t, c in zip(ours, theirs, strict=True) if not _agree(t, c)]
    return found


def _agree(told: Told, call: Call) -> bool:
    if call.status != 200:  # refused, broken or never answered: nothing served, and the reason is known
        return not told.served and told.error_type == {0: "timeout"}.get(call.status, str(call.status))
    if not told.served:
        return False
    if call.whole and call.said_usage:
        used = (told.input_tokens, told.output_tokens) == (call.input_tokens, call.output_tokens)
        return used and not told.estimated and not told.error_type
    if call.whole:  # counted here: "count to five" is a known prompt
        return told.estimated and (told.input_tokens or 0) > 0 and (told.output_tokens or 0) > 0
    said = told.output_tokens  # what came before it ended, counted here
    return bool(told.error_type) and told.estimated and said is not None and 0 <= said <= len(WORDS[:PIECES]) + 3


def usage_on_the_wire(providers: Providers) -> dict[str, Any]:
    """What the providers' log adds up to where they said what they used."""
    whole = [call for call in providers.log if call.status == 200 and call.whole and call.said_usage]
    return {
        "served": sum(call.status == 200 for call in providers.log),
        "failed": sum(call.status != 200 for call in providers.log),
        "billed_usd": sum((Decimal(call.cost) for call in whole if call.cost), Decimal(0)),
        "input_tokens": sum(call.input_tokens for call in whole),
        "output_tokens": sum(call.output_tokens for call in whole),
    }


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def summary(system: System, providers: Providers, statuses: Counter[int]) -> str:
    return json.dumps(
        {"statuses": dict(statuses), "wire": str(usage_on_the_wire(providers)), "usage": system.get("usage")}
    )
