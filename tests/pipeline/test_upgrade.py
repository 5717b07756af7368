"""A data folder of an earlier schema is brought up to date: its figures stay, and its books balance.

`schema-0071.tar.xz` was written by the code whose newest migration is 0071: answers of four workflows, an agent, a
prompt, a limit, feedback, a document, a sealed conversation, and six captures of foreign instrumentations.
`schema-0071.json` holds what its tables added up to. A migration that has landed is never edited: this folder would
refuse it.
"""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanledger.books.entries import MEASURES
from system import WITHOUT_CHAT, System

FIXTURES = Path(__file__).parents[1] / "fixtures"
KEYS = {
    "ledger": ("kind", "user_id", "model", "workflow", "agent", "cost_state"),
    "message_usage": ("conversation_id", "message_id"),
    "conversation_usage": ("conversation_id",),
    "user_usage_1h": ("user_id",),
    "usage_1m": ("model", "workflow", "agent"),
}
COUNTS = ("messages", "evaluations", "statements", "documents", "document_chunks")


def questions() -> dict[str, str]:
    """What every table adds up to, by its keys, and how many rows the others have."""
    sums = ", ".join(f"toString(sum({measure})) AS sum_{measure}" for measure in MEASURES)
    asked = {
        table: f"SELECT {', '.join(keys)}, {sums} FROM {table} GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}"
        for table, keys in KEYS.items()
    }
    for table in COUNTS:
        asked[f"rows of {table}"] = f"SELECT count() FROM {table} FINAL"
    asked["spans by operation"] = (
        "SELECT operation, uniqExact(trace_id, span_id) FROM genai_spans WHERE operation != '' GROUP BY 1 ORDER BY 1"
    )
    return asked


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("upgrade") / "data"
    with tarfile.open(FIXTURES / "schema-0071.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    system = System(folder, roles=WITHOUT_CHAT).start()
    yield system
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()


def asked(system: System, sql: str) -> Any:
    return system.post("/v1/sql", {"query": sql})["data"]


def test_an_old_folder_keeps_its_figures(upgraded: System) -> None:
    expected = json.loads((FIXTURES / "schema-0071.json").read_text())
    assert {name: asked(upgraded, sql) for name, sql in questions().items()} == expected


def test_an_old_folder_balances(upgraded: System) -> None:
    report = upgraded.post("/v1/audit", {})
    assert report["balanced"], report["differences"]
    assert report["checked"]["message_usage"] > 0


def test_an_old_folder_takes_more(upgraded: System) -> None:
    """Its conversations, documents and keys are there for the API."""
    (found,) = [one for one in upgraded.get("conversations")["items"] if one["conversation_id"] == "c-ann"]
    assert found["message_count"] > 0
    assert upgraded.get("users", "ann", "usage")["usage"]["llm_calls"] > 0
