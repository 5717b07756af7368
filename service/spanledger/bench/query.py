"""How long the API's questions take over much history: a real `spanledger up`, one client, one question at a time,
first beside nothing else, then while spans arrive and are settled."""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from spanledger.bench import history, steps
from spanledger.bench.ingest import percentiles
from spanledger.bench.sender import Plan, sending
from spanledger.bench.system import System
from spanledger.store.client import open_embedded

_DAYS = 30
_LONGEST_S = 10.0  # of one question's repetitions
_BESIDE_SPANS_PER_S = 2000
_BESIDE_TIMES = 20  # of each question
_UNKNOWN = "find nothing"

Question = Callable[[random.Random], str]  # a path of the API


def run(spans: int = 4_000_000, times: int = 100) -> dict[str, Any]:
    """Milliseconds of each question by the clock, and of CPU of the whole `up` (`cpu`). Each is asked up to `times`
    times, with other ids each time."""
    folder = Path(tempfile.mkdtemp(prefix="spanledger-bench-"))
    try:
        make(folder, spans)
        return measure(folder, spans, times)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make(folder: Path, spans: int) -> None:
    """Fills an empty data folder with so many spans of thirty days."""
    messages = spans // history.SPANS_PER_MESSAGE
    _say(f"making {spans:,} spans of {messages:,} messages")
    store = open_embedded(folder)
    history.make(store, messages, _DAYS, _say)
    store.close()


def measure(folder: Path, spans: int, times: int) -> dict[str, Any]:
    """Asks an `up` on a folder of `make`."""
    messages = spans // history.SPANS_PER_MESSAGE
    questions = _questions(messages)
    with System(folder) as system:
        _say("asking")
        alone = _ask_all(system, questions, times, "asking")
        memory = system.memory_mib()
        _say(f"asking beside {_BESIDE_SPANS_PER_S:,} spans/s")
        seconds = len(questions) * _LONGEST_S
        plan = Plan(system.endpoint("http"), seconds=seconds, spans_per_s=_BESIDE_SPANS_PER_S, spans_per_request=512)
        with sending(plan):
            beside = _ask_all(system, questions, _BESIDE_TIMES, "asking beside new spans")
    return {
        "spans": spans,
        "messages": messages,
        "load_1m": round(os.getloadavg()[0], 1),
        "memory_mib": memory,
        "ms": alone,
        "ms_beside_ingest": beside,
    }


def _say(text: str) -> None:
    steps.note(f"bench query: {text}")


def _ask_all(system: System, questions: dict[str, Question], times: int, what: str) -> dict[str, dict[str, float]]:
    turns = steps.counted(what, questions.items(), "questions")
    return {name: _ask(system, name, question, times) for name, question in turns}


def _ask(system: System, name: str, question: Question, times: int) -> dict[str, float]:
    rng = random.Random(7)
    took: list[float] = []
    used = sum(system.cpu_seconds().values())
    began = time.monotonic()
    while len(took) < times and time.monotonic() - began < _LONGEST_S:
        path = question(rng)
        started = time.perf_counter()
        status = system.client.get(path).status_code
        if status != (404 if name == _UNKNOWN else 200):
            raise RuntimeError(f"{path} answered {status}")
        took.append((time.perf_counter() - started) * 1000)
    used = sum(system.cpu_seconds().values()) - used
    return percentiles(took) | {"cpu": round(used * 1000 / len(took), 1)}


def _questions(messages: int) -> dict[str, Question]:
    conversations = messages // history.MESSAGES_PER_CONVERSATION
    day, week, month = _window(1), _window(7), _window(_DAYS)
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
        "latest messages, with totals": lambda _: f"/v1/messages?{month}&limit=50",
        "messages of a user": lambda rng: f"/v1/messages?user=u{rng.randrange(history.USERS)}&limit=50",
        "messages of a model, day": lambda _: f"/v1/messages?{day}&model=gpt-4o&limit=50",
        "failed messages by cost, week": lambda _: f"/v1/messages?{week}&status=error&sort=-cost",
        "facets, day": lambda _: f"/v1/facets?{day}",
        "users by cost, month": lambda _: f"/v1/users?{month}",
        "latest spans": lambda _: "/v1/spans?limit=50",
        "latest spans of a model": lambda _: "/v1/spans?model=gpt-4o&limit=50",
        "spans of a message": lambda rng: f"/v1/spans?message=m{rng.randrange(messages)}",
        "find a trace": lambda rng: f"/v1/find?id={history.trace_of(rng.randrange(messages))}",
        "find a message": lambda rng: f"/v1/find?id=m{rng.randrange(messages)}",
        "find a user": lambda rng: f"/v1/find?id=u{rng.randrange(history.USERS)}",
        "find a response": lambda rng: f"/v1/find?id=r{rng.randrange(messages)}-4",
        _UNKNOWN: lambda rng: f"/v1/find?id=nothing-{rng.randrange(messages)}",
        "explain a message": lambda rng: f"/v1/explain?message=m{rng.randrange(messages)}",
        "explain a conversation": lambda rng: f"/v1/explain?conversation=c{rng.randrange(conversations)}",
        "explain a user, month": lambda rng: f"/v1/explain?user=u{rng.randrange(history.USERS)}&{month}",
        "realtime": lambda _: "/v1/realtime?window=60",
    }


def _window(days: int) -> str:
    now = datetime.now(UTC)
    return f"from={now - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}&to={now:%Y-%m-%dT%H:%M:%SZ}"
