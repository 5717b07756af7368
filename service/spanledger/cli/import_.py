"""`spanledger import`: history from elsewhere, as spans through the same door; doing it again changes nothing."""

import contextlib
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from spanledger.cli.common import running_api
from spanledger.cli.doors import Door, door_of, the_door
from spanledger.cli.options import Json, Place, application, examples, with_place
from spanledger.cli.output import print_json, say
from spanledger.cli.progress import BYTES, Bar, progress
from spanledger.client import Api
from spanledger.errors import BadRequest, StoreError
from spanledger.imports.history import MAX_TEXT, Exchange, Item, Problem
from spanledger.settings import Settings

DESCRIPTION = """\
Imports conversations from elsewhere. Every message and answer becomes a span with an id that follows from its source,
so a second import of the same (or a grown) file changes nothing that is there. Tokens and cost that the source does not
state stay unknown. Texts are imported only with --content (or SPANLEDGER_CAPTURE_CONTENT=1).
Records that cannot be used are listed and counted, and the others are imported. Exit code 1 when there were any."""
EXAMPLES = """\
  spanledger import jsonl history.jsonl
  spanledger import chatgpt export.zip --content
  spanledger import claude export.zip --user ann
  spanledger import imessage ~/Library/Messages/chat.db --gap 90m
  spanledger import imessage ~/Library/Messages/chat.db --follow

a line of JSONL is a message, or a conversation with its messages:
  {"conversation_id": "c1", "role": "user", "content": "hi", "created_at": "2026-11-21T07:00:00Z", "user_id": "ann"}
  {"conversation_id": "c1", "role": "assistant", "content": "hello", "created_at": 1795244401, "model": "gpt-4o-mini",
   "provider": "openai", "usage": {"prompt_tokens": 8, "completion_tokens": 2}}     (on one line)
  {"conversation_id": "c2", "created_at": "2026-11-20", "messages": [{"role": "user", "content": "hi"}]}
"""
BATCH = 500  # exchanges in a request
BATCH_PARTS = 5_000  # messages, answers and uses of tools in one
BATCH_CHARS = 4_000_000  # of texts in one
LISTED = 20  # problems that are listed one by one
TRIES = 60
POLL_S = 2.0
_GAP = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass
class Tally:
    exchanges: int = 0
    answers: int = 0
    problems: int = 0
    cut: int = 0  # texts that were longer than what is imported
    conversations: set[str] = field(default_factory=set)


File = Annotated[Path, typer.Argument(metavar="FILE", help="What to import.")]
Content = Annotated[bool, typer.Option("--content", help="Import the texts too.")]
app = application(DESCRIPTION)


@app.command("jsonl", epilog=examples(EXAMPLES))
@with_place
def import_jsonl(place: Place, file: File, content: Content = False, as_json: Json = False) -> int:
    """Messages, one a line."""
    return _import_file(place, "jsonl", file, content, as_json)


@app.command("chatgpt", epilog=examples(EXAMPLES))
@with_place
def import_chatgpt(
    place: Place,
    file: File,
    content: Content = False,
    user: Annotated[str, typer.Option("--user", metavar="ID", help="Whose it is (default: as in user.json).")] = "",
    as_json: Json = False,
) -> int:
    """ChatGPT's data export: the zip, or its conversations.json."""
    return _import_file(place, "chatgpt", file, content, as_json, user)


@app.command("claude", epilog=examples(EXAMPLES))
@with_place
def import_claude(
    place: Place,
    file: File,
    content: Content = False,
    user: Annotated[
        str, typer.Option("--user", metavar="ID", help="Whose it is (default: the export's account).")
    ] = "",
    as_json: Json = False,
) -> int:
    """Claude's data export: the zip, or its conversations.json."""
    return _import_file(place, "claude", file, content, as_json, user)


@app.command("imessage", epilog=examples(EXAMPLES))
@with_place
def import_imessage(
    place: Place,
    file: File,
    content: Content = False,
    me: Annotated[str, typer.Option("--me", metavar="ID", help="The user id of your own messages.")] = "me",
    gap: Annotated[
        str, typer.Option("--gap", metavar="TIME", help="A longer pause begins a new conversation.")
    ] = "90m",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> int:
    """Messages' chat.db (a copy, or the live one)."""
    chosen = place.settings(capture_content=content or None)
    if follow and running_api(chosen) is None:
        raise BadRequest("--follow needs a running `spanledger up` on this data folder; start it first")
    tally = Tally()
    _messages(file, _seconds(gap), me, follow, chosen, tally)
    return _finished(file, tally, as_json)


def _import_file(place: Place, kind: str, file: Path, content: bool, as_json: bool, user: str = "") -> int:
    chosen = place.settings(capture_content=content or None)
    if not file.is_file():
        raise BadRequest(f"{file}: there is no such file")
    tally = Tally()
    with progress("import", _size(kind, file), BYTES) as bar, the_door(chosen) as door:
        _load(_items(kind, file, user, bar.advance), door, chosen.capture_content, tally)
        bar.tell("settling")
    return _finished(file, tally, as_json)


def _finished(file: Path, tally: Tally, as_json: bool) -> int:
    if as_json:
        counts = {
            "messages": tally.exchanges,
            "answers": tally.answers,
            "unusable": tally.problems,
            "texts_cut": tally.cut,
        }
        print_json({"conversations": len(tally.conversations), **counts})
    else:
        print(_summary(tally))
    if not tally.exchanges:
        say(f"{file}: nothing in it could be imported")
    return 1 if tally.problems or not tally.exchanges else 0


def submit(kind: str, file: Path, api: Api, content: bool = False) -> Tally:
    """Imports a file of `jsonl`, `chatgpt` or `claude` into the running system behind `api`."""
    tally = Tally()
    with door_of(api) as door:
        _load(_items(kind, file), door, content, tally)
    return tally


def _items(
    kind: str, file: Path, user_id: str = "", progress: Callable[[int], None] = lambda _: None
) -> Iterator[Item]:
    from spanledger.imports import chatgpt, claude, jsonl

    if kind == "jsonl":
        return jsonl.read(file, progress)
    read = chatgpt.read if kind == "chatgpt" else claude.read
    return read(file, user_id, progress)


def _size(kind: str, file: Path) -> int:
    from spanledger.imports import archive

    return file.stat().st_size if kind == "jsonl" else archive.size(file)


def _messages(file: Path, gap_s: float, me: str, follow: bool, chosen: Settings, tally: Tally) -> None:
    from spanledger.imports.imessage import ChatDb

    db = ChatDb(file, gap_s, me)
    with contextlib.closing(db), the_door(chosen) as door:
        with progress("import", db.count(), "messages") as bar:
            _load(_counted(db.messages(), bar), door, chosen.capture_content, tally)
        if follow:
            say("following; Ctrl-C ends it")
            for _ in _changes(db.changes):
                _load(db.messages(), door, chosen.capture_content, tally)


def _counted(items: Iterable[Item], bar: Bar) -> Iterator[Item]:
    for item in items:
        bar.advance()
        yield item


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

    at_ms = time.time_ns() // 1_000_000
    for batch in _batches(_usable(items, tally), content, tally):
        _send(request(batch, content, at_ms), door)
        tally.exchanges += len(batch)
        tally.answers += sum(len(exchange.answers) for exchange in batch)
        tally.conversations.update(exchange.conversation_id for exchange in batch)


def _batches(exchanges: Iterable[Exchange], content: bool, tally: Tally) -> Iterator[list[Exchange]]:
    """As many at once as one request takes."""
    batch: list[Exchange] = []
    parts = chars = 0
    for exchange in exchanges:
        sizes = [len(text) for text in exchange.texts()] if content else []
        tally.cut += sum(size > MAX_TEXT for size in sizes)
        size = sum(min(size, MAX_TEXT) for size in sizes)
        if batch and (len(batch) >= BATCH or parts > BATCH_PARTS or chars + size > BATCH_CHARS):
            yield batch
            batch, parts, chars = [], 0, 0
        if size > BATCH_CHARS:
            tally.problems += 1
            say(f"message {exchange.message_id[:100]}: its texts are {size:,} characters together; they are left out")
            exchange = _without_texts(exchange)
            size = 0
        batch.append(exchange)
        parts += 1 + len(exchange.answers) + len(exchange.tools)
        chars += size
    if batch:
        yield batch


def _without_texts(exchange: Exchange) -> Exchange:
    return replace(
        exchange,
        text="",
        answers=[replace(answer, text="") for answer in exchange.answers],
        tools=[replace(tool, text="") for tool in exchange.tools],
    )


def _usable(items: Iterable[Item], tally: Tally) -> Iterator[Exchange]:
    for item in items:
        if isinstance(item, Problem):
            tally.problems += 1
            if tally.problems <= LISTED:
                say(f"{item.where}: {item.why}")
            elif tally.problems == LISTED + 1:
                say("further problems are only counted")
        else:
            yield item


def _send(body: bytes, door: Door) -> None:
    """Through the door, again and again while it has no room. Raises StoreError when it takes nothing."""
    wait = threading.Event()
    for attempt in range(TRIES):
        reply = door("traces", body, "application/x-protobuf")
        if reply.ok:
            if reply.rejected:
                say(f"{reply.rejected} spans were refused: {reply.message}")
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


def _summary(tally: Tally) -> str:
    lines = [
        f"{len(tally.conversations):,} conversations: {tally.exchanges:,} messages and exchanges, "
        f"{tally.answers:,} answers of models, loaded and settled"
    ]
    if tally.problems:
        lines.append(
            f"unusable: {tally.problems:,}, " + ("listed above" if tally.problems <= LISTED else "partly listed above")
        )
    if tally.cut:
        lines.append(f"cut: {tally.cut:,} texts were longer than {MAX_TEXT:,} characters")
    return "\n".join(lines)
