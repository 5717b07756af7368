"""Dead letters beside a running `up` and on a data folder at rest: seen, sent again, moved."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_cli_running import spanledger

from otlp_make import log_request, trace_request
from spanledger.ingest import dead, records
from system import System

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 7,
    "gen_ai.usage.output_tokens": 1,
}


def letter(data_dir: Path, name: str, body: bytes, signal: str = "traces", tenant: str = "") -> str:
    """What the loader sets aside when ClickHouse refuses a record."""
    record = b"".join(records.frame(body, 1_700_000_000_000, tenant))
    return dead.bury(data_dir, signal, name, record, "Code: 42. DB::Exception: nobody could read this").stem


def call(conversation: str) -> bytes:
    attributes = CALL | {"gen_ai.conversation.id": conversation}
    body: bytes = trace_request({"name": "chat", "attributes": attributes}).SerializeToString()
    return body


@pytest.fixture
def data_dir(system: System) -> Iterator[Path]:
    yield system.data_dir
    for path in (system.data_dir / "spool" / "dead").rglob("*"):
        if path.is_file():
            path.unlink()


def test_without_dead_letters_it_says_so(system: System, data_dir: Path) -> None:
    done = spanledger("replay", "--data-dir", data_dir)
    assert (done.returncode, done.stdout.startswith("no dead letters")) == (0, True)
    done = spanledger("replay", "all", "--data-dir", data_dir)
    assert (done.returncode, done.stdout) == (0, "there is nothing to replay\n")


def test_what_goes_through_is_counted_and_moved_and_the_rest_stays(system: System, data_dir: Path) -> None:
    good = letter(data_dir, "good", call("replayed"))
    bad = letter(data_dir, "bad", b"\x0a\x05\x12\x03\x12\xff\x01")
    torn = dead.bury(data_dir, "logs", "torn", b"\x7f torn", dead.DAMAGED).stem

    listed = spanledger("replay", "--list", "--data-dir", data_dir)
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:4]] == [good, bad, torn]
    assert "Code: 42" in listed.stdout
    assert system.request("GET", "/readyz")[2]["ingest"]["dead_letters"] == 3

    done = spanledger("replay", "all", "--data-dir", data_dir)
    assert done.returncode == 1
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert told[good] == "replayed"
    assert told[bad].startswith("refused: 400: not an OTLP traces request")
    assert told[torn].startswith("damaged: ")
    assert system.get("conversations", "replayed")["usage"]["input_tokens"] == 7
    folder = data_dir / "spool" / "dead"
    assert sorted(path.stem for path in folder.glob("*.bin")) == sorted([bad, torn])
    assert (folder / "replayed" / f"{good}.bin").exists()


def test_one_of_many_by_its_id(system: System, data_dir: Path) -> None:
    first, second = (letter(data_dir, name, call(f"by-id-{name}")) for name in ("first", "second"))
    assert spanledger("replay", second, "--data-dir", data_dir).returncode == 0
    assert system.get("conversations", "by-id-second")["usage"]["llm_calls"] == 1
    assert [one.id for one in dead.letters(data_dir)] == [first]


def test_a_letter_keeps_its_tenant_and_its_signal(system: System, data_dir: Path) -> None:
    trace_id = os.urandom(16)
    letter(data_dir, "log", log_request("hello", trace_id).SerializeToString(), "logs", tenant="shop-of-replay")
    assert spanledger("replay", "all", "--data-dir", data_dir).returncode == 0
    query = f"SELECT Tenant FROM otel_logs WHERE TraceId = '{trace_id.hex()}'"
    answer = spanledger("sql", query, "--all-tenants", "--format", "json", "--data-dir", data_dir)
    assert json.loads(answer.stdout)["data"] == [["shop-of-replay"]]


def test_an_id_that_is_not_there_is_named(system: System, data_dir: Path) -> None:
    for name in ("nothing-of-this-name", "../../lock"):
        done = spanledger("replay", name, "--data-dir", data_dir)
        assert done.returncode == 2
        assert f"no dead letter '{name}'" in done.stderr


def test_a_data_folder_at_rest(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert spanledger("migrate", "--data-dir", folder).returncode == 0
    (folder / "spool" / "dead").mkdir(parents=True)
    name = letter(folder, "at-rest", call("at-rest"))
    assert name in spanledger("replay", "--data-dir", folder).stdout
    assert spanledger("replay", name, "--data-dir", folder).stdout == f"{name}: replayed\n"
    query = "SELECT sum(input_tokens) AS tokens FROM usage_1m"
    answer = spanledger("sql", query, "--format", "json", "--data-dir", folder)
    assert [int(tokens) for (tokens,) in json.loads(answer.stdout)["data"]] == [7]


def test_no_data_is_no_list(tmp_path: Path) -> None:
    done = spanledger("replay", "--data-dir", tmp_path / "misspelt")
    assert done.returncode == 2
    assert "there is no data" in done.stderr
