"""`spanledger import`: history from elsewhere, as spans through the same door; doing it again changes nothing."""

import argparse
import contextlib
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from spanledger.cli.common import add_place, place, running_api
from spanledger.cli.doors import Door, door_of, the_door
from spanledger.client import Api
from spanledger.errors import BadRequest, StoreError
from spanledger.imports.history import Exchange, Item, Problem
from spanledger.settings import Settings

DESCRIPTION = """\
Imports conversations from elsewhere. Every message and answer becomes a span with an id that follows from its source,
so a second import of the same (or a grown) file changes nothing that is there. Tokens and cost that the source does not
say stay unknown. Texts are imported only with --content (or SPANLEDGER_CAPTURE_CONTENT=1).
What cannot be used is listed and counted, and the rest is imported. Exit code 1 when there was such a thing."""
EXAMPLES = """\
examples:
  spanledger import jsonl history.jsonl
  spanledger import chatgpt export.zip --content
  spanledger import imessage ~/Library/Messages/chat.db --gap 90m
  spanledger import imessage ~/Library/Messages/chat.db --follow

a line of JSONL is a message, or a conversation with its messages:
  {"conversation_id": "c1", "role": "user", "content": "hi", "created_at": "2026-11-21T07:00:00Z", "user_id": "ann"}
  {"conversation_id": "c1", "role": "assistant", "content": "hello", "created_at": 1795244401, "model": "gpt-4o-mini",
   "provider": "openai", "usage": {"prompt_tokens": 8, "completion_tokens": 2}}     (on one line)
  {"conversation_id": "c2", "created_at": "2026-11-20", "messages": [{"role": "user", "content": "hi"}]}
"""
BATCH = 500  # exchanges in a request
LISTED = 20  # problems that are told one by one
TRIES = 60
POLL_S = 2.0
_GAP = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass
class Tally:
    exchanges: int = 0
    answers: int = 0
    problems: int = 0
    conversations: set[str] = field(default_factory=set)
    told_at: float = 0.0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="jsonl|chatgpt|imessage")
    for name, what in (
        ("jsonl", "messages, one a line"),
        ("chatgpt", "ChatGPT's data export: the zip, or its conversations.json"),
        ("imessage", "Messages' chat.db (a copy, or the live one)"),
    ):
        kind = kinds.add_parser(name, help=what, description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
        kind.add_argument("file", type=Path, metavar="FILE")
        kind.add_argument("--content", action="store_true", default=None, help="import the texts too")
        if name == "chatgpt":
            kind.add_argument("--user", default="", metavar="ID", help="whose it is (default: what user.json says)")
        if name == "imessage":
            kind.add_argument("--me", default="me", metavar="ID", help="the user id of your own messages (default me)")
            kind.add_argument("--gap", default="90m", metavar="TIME", help="a longer pause begins a new conversation")
            kind.add_argument("--follow", action="store_true", help="go on with what comes, until Ctrl-C")
        add_place(kind)


def run(options: argparse.Namespace) -> int:
    chosen = place(options, capture_content=options.content)
    if options.kind != "imessage" and not options.file.is_file():
        raise BadRequest(f"{options.file}: there is no such file")
    tally = Tally()
    if options.kind == "imessage":
        _messages(options, chosen, tally)
    else:
        with the_door(chosen) as door:
            _load(_items(options.kind, options.file, getattr(options, "user", "")), door, chosen.capture_content, tally)
    print(_summary(tally))
    if not tally.exchanges:
        _say(f"{options.file}: nothing in it could be imported")
    return 1 if tally.problems or not tally.exchanges else 0


def submit(kind: str, file: Path, api: Api, content: bool = False) -> Tally:
    """Imports a file of `jsonl` or `chatgpt` into the running system behind `api`."""
    tally = Tally()
    with door_of(api) as door:
        _load(_items(kind, file), door, content, tally)
    return tally


def _items(kind: str, file: Path, user_id: str = "") -> Iterator[Item]:
    from spanledger.imports import chatgpt, jsonl

    return jsonl.read(file) if kind == "jsonl" else chatgpt.read(file, user_id)


def _messages(options: argparse.Namespace, chosen: Settings, tally: Tally) -> None:
    from spanledger.imports.imessage import ChatDb

    if options.follow and running_api(chosen) is None:
        raise BadRequest("--follow needs a running `spanledger up` on this data folder; start it first")
    db = ChatDb(options.file, _seconds(options.gap), options.me)
    with contextlib.closing(db), the_door(chosen) as door:
        _load(db.messages(), door, chosen.capture_content, tally)
        if options.follow:
            _say("following; Ctrl-C ends it")
            for _ in _changes(db.changes):
                _load(db.messages(), door, chosen.capture_content, tally)


def _changes(version: Callable[[], int]) -> Iterator[None]:
    """Whenever the database was written to, until Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    seen = None
    while not stop.wait(POLL_S):
        now = version()
        if now != seen:
            seen = now
            yield


def _load(items: Iterable[Item], door: Door, content: bool, tally: Tally) -> None:
    from spanledger.imports.spans import request

    usable = _usable(items, tally)
    while batch := list(islice(usable, BATCH)):
        _send(request(batch, content), door)
        tally.exchanges += len(batch)
        tally.answers += sum(len(exchange.answers) for exchange in batch)
        tally.conversations.update(exchange.conversation_id for exchange in batch)
        _progress(tally)


def _usable(items: Iterable[Item], tally: Tally) -> Iterator[Exchange]:
    for item in items:
        if isinstance(item, Problem):
            tally.problems += 1
            if tally.problems <= LISTED:
                _say(f"{item.where}: {item.why}")
            elif tally.problems == LISTED + 1:
                _say("further problems are only counted")
        else:
            yield item


def _send(body: bytes, door: Door) -> None:
    """Through the door, again and again while it has no room. Raises StoreError when it takes nothing."""
    wait = threading.Event()
    for attempt in range(TRIES):
        reply = door("traces", body, "application/x-protobuf")
        if reply.ok:
            if reply.rejected:
                _say(f"{reply.rejected} spans were refused: {reply.message}")
            return
        if not reply.come_again:
            break
        wait.wait(min(0.1 * 2**attempt, 5.0))
    raise StoreError(f"what was read could not be handed in: {reply.message}")


def _seconds(text: str) -> float:
    found = _GAP.fullmatch(text.strip())
    if not found or float(found[1]) <= 0:
        raise BadRequest(f"--gap {text!r} is not a time; write it like 90m, 2h or 1.5d")
    return float(found[1]) * _SECONDS[found[2]]


def _progress(tally: Tally) -> None:
    """A word every second."""
    now = time.monotonic()
    if now - tally.told_at >= 1:
        tally.told_at = now
        _say(f"{tally.exchanges:,} messages and exchanges in {len(tally.conversations):,} conversations …")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _summary(tally: Tally) -> str:
    lines = [
        f"{len(tally.conversations):,} conversations: {tally.exchanges:,} messages and exchanges, "
        f"{tally.answers:,} answers of models, loaded and settled"
    ]
    if tally.problems:
        lines.append(
            f"unusable: {tally.problems:,}, " + ("listed above" if tally.problems <= LISTED else "partly listed above")
        )
    return "\n".join(lines)
