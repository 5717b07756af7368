"""Every command, request and file of the docs, tried on a running system that has the demo's data.

A block that needs what this system is not stands behind `<!-- manual: what it needs -->` or `<!-- excerpt -->`; pages
of docs/quickstart are run by tests/quickstarts with their frameworks.
"""

import asyncio
import itertools
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from doc_blocks import ROOT, Block, blocks, pages
from doc_runs import DocRun
from otlp_make import trace_request
from spanledger.ingest.masking import Masking, rules_of
from spanledger.ingest.signals import SIGNALS
from spanledger.pricing import load_book, usd
from spanledger.workflows import demo
from system import WITHOUT_CHAT, System

ELSEWHERE = ("docs/reference", "docs/quickstart")
RUN = {"bash", "console", "http"}
JSONL = (
    {"conversation_id": "history-1", "role": "user", "time": "2026-11-01T10:00:00Z", "content": "hello"},
    {"conversation_id": "history-1", "role": "assistant", "time": "2026-11-01T10:00:02Z", "model": "gpt-4o-mini"},
)
CHATGPT = {
    "conversation_id": "chatgpt-1",
    "create_time": 1_790_000_000,
    "mapping": {
        "a": {"message": None, "parent": None},
        "b": {
            "parent": "a",
            "message": {
                "id": "b",
                "author": {"role": "user"},
                "create_time": 1_790_000_000,
                "content": {"content_type": "text", "parts": ["hello"]},
            },
        },
    },
}
CLAUDE = {
    "uuid": "claude-1",
    "created_at": "2026-09-21T12:00:00Z",
    "chat_messages": [{"uuid": "b", "sender": "human", "text": "hello", "created_at": "2026-09-21T12:00:00Z"}],
}
APP = """
import os
from pathlib import Path
from urllib.request import Request, urlopen

url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces"
urlopen(Request(url, Path("spans.binpb").read_bytes(), {"Content-Type": "application/x-protobuf"}))
urlopen(Request(os.environ["API"] + "/v1/flush", b"{}", {"Content-Type": "application/json"}))
"""


OWN_TEST = {"stream", "restart"}  # marks of blocks that a test below runs
NOT_RUN = {"excerpt", "manual", *OWN_TEST}


def is_input(block: Block) -> bool:
    """A file that the page's commands read, or the body of a request."""
    return bool(block.title) or block.mark == "body"


PAGES = {
    name: found
    for page in pages()
    if not (name := str(page.relative_to(ROOT))).startswith(ELSEWHERE)
    if (found := [one for one in blocks(page) if one.mark not in NOT_RUN and (one.language in RUN or is_input(one))])
}


def call(conversation: str) -> bytes:
    """OTLP of one model call, as an application sends it."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 21,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.conversation.id": conversation,
        "user.id": "ann@example.org",
    }
    return trace_request({"name": "chat gpt-4o-mini", "attributes": attributes}).SerializeToString()


def block_of(page: str, mark: str = "", language: str = "") -> Block:
    found = [one for one in blocks(ROOT / page) if one.mark == mark and language in ("", one.language)]
    return found[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    started = System(tmp_path_factory.mktemp("docs") / "data").start()
    asyncio.run(demo.run(f"http://127.0.0.1:{started.port}"))
    yield started
    assert started.stop() == 0


@pytest.fixture
def page_run(running: System, tmp_path: Path) -> DocRun:
    """With what readers have of their own: an application, files to load, ids."""
    running.flush()
    (tmp_path / "notes.md").write_text("# Notes\n\nCats purr.\n")
    (tmp_path / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in JSONL))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as export:
        export.writestr("conversations.json", json.dumps([CHATGPT]))
    with zipfile.ZipFile(tmp_path / "claude.zip", "w") as export:
        export.writestr("conversations.json", json.dumps([CLAUDE]))
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "spans.binpb").write_bytes(call("app-1"))
    message = running.get("conversations", "demo-trip", "messages")["items"][0]
    ids = {"TRACE_ID": message["trace_id"], "CONVERSATION_ID": "app-1", "MESSAGE_ID": message["message_id"]}
    return DocRun(tmp_path, running, ids)


@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_of_a_page_run_in_their_order(name: str, page_run: DocRun) -> None:
    for block in PAGES[name]:
        page_run.run(block)


def test_events_are_shown_as_they_come(page_run: DocRun, running: System) -> None:
    with page_run.started(block_of("docs/events.md", "stream")) as lines:
        assert next(lines) == "retry: 1000"
        running.post("/v1/conversations/c1/messages", {"content": "hello"})
        shown = dict(line.split(": ", 1) for line in itertools.islice(filter(None, lines), 3))
    assert shown["event"] == "workflow_started"
    assert json.loads(shown["data"])["conversation_id"] == "c1"


def test_a_backup_brings_the_data_folder_back(tmp_path: Path) -> None:
    data_dir = tmp_path / ".spanledger"
    system = System(data_dir, roles=WITHOUT_CHAT).start()
    page = DocRun(tmp_path, system, {})
    backup, rest = block_of("docs/how-to.md", "restart").text.split("mv ", 1)
    restore, audit = rest.split("spanledger up ", 1)
    system.export(call("before"))
    assert system.stop() == 0
    page.bash(backup)
    system.start()
    system.export(call("after"))
    assert system.stop() == 0
    page.bash("mv " + restore)
    system.start()
    page.bash(audit.split("\n", 1)[1])
    assert [one["conversation_id"] for one in system.get("conversations")["items"]] == ["before"]
    assert system.stop() == 0
    assert page.printed.splitlines()[-1] == "balanced"


def test_the_price_file_of_the_docs_is_a_price_book(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(block_of("docs/prices.md", language="yaml").text)
    (price,) = (one for one in load_book([file]).lookups("openai", "gpt-4o") if one.source == "contract 4711")
    assert usd((price.rates().input or 0) * 10**6) == Decimal(2)


def test_the_masking_rules_of_the_docs_mask(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(block_of("docs/erasure.md", language="yaml").text)
    values = {"customer.name": "Ann", "http.request.header.cookie": "secret", "note": "see TCK-42"}
    counts: Counter[str] = Counter()
    body = trace_request({"attributes": values}).SerializeToString()
    masked = Masking(rules_of({}, str(file)), tmp_path).mask(SIGNALS["traces"], body, counts)
    assert not [text for text in (b"Ann", b"secret", b"TCK-42") if text in masked]
    assert counts.total() == len(values)
