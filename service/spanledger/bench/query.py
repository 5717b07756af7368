"""How long the API's questions take over much history: a real `spanledger up`, one client, one question at a time."""

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from spanledger.bench import history
from spanledger.bench.ingest import percentiles
from spanledger.bench.system import System
from spanledger.store.client import open_embedded

_DAYS = 30
_LONGEST_S = 10.0  # of one question's repetitions

Question = Callable[[random.Random], str]  # a path of the API


def run(spans: int = 4_000_000, times: int = 100) -> dict[str, Any]:
    """Milliseconds of each question, asked `times` times with other ids each; takes about two minutes."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
    messages = spans // history.SPANS_PER_MESSAGE
    try:
        _say(f"making {spans} spans of {messages} messages")
        store = open_embedded(folder)
        history.make(store, messages, _DAYS)
        store.close()
        with System(folder) as system:
            _say("asking")
            answers = {name: _ask(system, question, times) for name, question in _questions(messages).items()}
            memory = system.memory_mib()
        load = round(os.getloadavg()[0], 1)
        return {"spans": spans, "messages": messages, "load_1m": load, "memory_mib": memory, "ms": answers}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(text: str) -> None:
    print(f"bench query: {text}", file=sys.stderr, flush=True)


def _ask(system: System, question: Question, times: int) -> dict[str, float]:
    rng = random.Random(7)
    took: list[float] = []
    began = time.monotonic()
    while len(took) < times and time.monotonic() - began < _LONGEST_S:
        path = question(rng)
        started = time.perf_counter()
        system.client.get(path).raise_for_status()
        took.append((time.perf_counter() - started) * 1000)
    return percentiles(took)


def _questions(messages: int) -> dict[str, Question]:
    conversations = messages // history.MESSAGES_PER_CONVERSATION
    day, month = _window(1), _window(_DAYS)
    return {
        "message": lambda rng: f"/v1/messages/m{rng.randrange(messages)}",
        "conversation": lambda rng: f"/v1/conversations/c{rng.randrange(conversations)}",
        "messages of a conversation": lambda rng: f"/v1/conversations/c{rng.randrange(conversations)}/messages",
        "conversations of a user": lambda rng: f"/v1/conversations?user_id=u{rng.randrange(history.USERS)}&limit=20",
        "latest conversations": lambda _: "/v1/conversations?limit=20",
        "trace": lambda rng: f"/v1/traces/{history.trace_of(rng.randrange(messages))}",
        "user by day, month": lambda rng: f"/v1/users/u{rng.randrange(history.USERS)}/usage?{month}&bucket=day",
        "by model, day": lambda _: f"/v1/usage?{day}&group_by=model",
        "by model, month": lambda _: f"/v1/usage?{month}&group_by=model",
        "by workflow and model, month by day": lambda _: f"/v1/usage?{month}&bucket=day&group_by=workflow,model",
        "by user, month": lambda _: f"/v1/usage?{month}&group_by=user&limit=20",
        "realtime": lambda _: "/v1/realtime?window=60",
    }


def _window(days: int) -> str:
    now = datetime.now(UTC)
    return f"from={now - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}&to={now:%Y-%m-%dT%H:%M:%SZ}"
