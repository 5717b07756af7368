"""The commands beside a running `up`, and on the same data at rest: the same answers."""

import json
import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

import preloaded
from otlp_make import log_request, trace_request
from system import System

TRACE_ID = bytes(range(16))


def spanledger(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    done = preloaded.run(["-m", "spanledger.cli", *map(str, arguments)], timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _call(name: str, **fields: Any) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.id": name,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.conversation.id": "files",
        "spanledger.correlation.id": "corr-1",
    }
    return {"name": name, "attributes": attributes, **fields}


def _json(request: Any) -> str:
    """OTLP/JSON: ids in hex, which protobuf's own JSON writes as base64."""
    body = MessageToDict(request)
    for resource_spans in body["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                span["traceId"], span["spanId"] = os.urandom(16).hex(), os.urandom(8).hex()
    return json.dumps(body)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five calls and a log line in files of every kind, beside JSON that is not OTLP."""
    folder = tmp_path_factory.mktemp("files")
    deep = folder / "deeper"
    deep.mkdir()
    failed = {"status": {"code": 2, "message": "out of luck"}}
    request = trace_request(_call("one"), {"name": "lookup", **failed}, trace_id=TRACE_ID)
    (folder / "a.otlp.pb").write_bytes(request.SerializeToString())
    (folder / "b.json").write_text(_json(trace_request(_call("two"))))
    (deep / "c.jsonl").write_text("\n\n".join(_json(trace_request(_call(f"line-{n}"))) for n in range(3)) + "\n")
    (deep / "d.logs.otlp.pb").write_bytes(log_request("hello", TRACE_ID).SerializeToString())
    (folder / "a.truth.json").write_text('{"expected": {"llm_calls": 5}}')
    return folder


@pytest.fixture(scope="module")
def loaded(system: System, files: Path) -> str:
    """What `ingest` printed about the files."""
    done = spanledger("ingest", files, "--data-dir", system.data_dir)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ingest_counts_by_signal_and_settles_before_it_returns(system: System, loaded: str) -> None:
    assert "4 files: 6 spans, 1 log records loaded and settled" in loaded
    assert "skipped: 1 JSON files that are not OTLP" in loaded
    usage = system.get("conversations", "files")["usage"]
    assert (usage["llm_calls"], usage["total_tokens"], usage["cost_usd"]) == (5, 5500, "0.00105")


def test_ingest_names_each_file_it_could_not_load_and_loads_the_rest(system: System, tmp_path: Path) -> None:
    good = trace_request(_call("late")).SerializeToString()
    (tmp_path / "bad.pb").write_bytes(b"\xff\xff\xff")
    (tmp_path / "good.pb").write_bytes(good)
    (tmp_path / "half.jsonl").write_text("{\n" + _json(trace_request({"name": "x"})))
    (tmp_path / "not-otlp.json").write_text("{")
    (tmp_path / "nested.json").write_text("[" * 5000 + "]" * 5000)
    done = spanledger("ingest", tmp_path, "--data-dir", system.data_dir)
    assert done.returncode == 1
    assert "bad.pb: not an OTLP traces request" in done.stderr
    assert "half.jsonl: line 1: " in done.stderr
    assert "not-otlp.json: " in done.stderr
    assert "2 spans loaded and settled" in done.stdout
    assert "refused: 3, listed above" in done.stdout


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("name", [TRACE_ID.hex(), "corr-1", "files"])
def test_trace_by_trace_correlation_and_conversation_id(system: System, name: str) -> None:
    shown = spanledger("trace", name, "--data-dir", system.data_dir)
    assert shown.returncode == 0
    assert f"trace {TRACE_ID.hex()}" in shown.stdout
    assert "1000 in + 100 out, $0.00021 computed" in shown.stdout
    assert "ERROR out of luck" in shown.stdout
    assert "hello" in shown.stdout


@pytest.mark.usefixtures("loaded")
def test_trace_by_message_id_and_as_json(system: System) -> None:
    message = system.get("conversations", "files", "messages")["items"][0]["message_id"]
    found = json.loads(spanledger("trace", message, "--json", "--data-dir", system.data_dir).stdout)
    assert found["usage"]["cost_usd"] == "0.00021"
    missing = spanledger("trace", "nobody-knows", "--data-dir", system.data_dir)
    assert (missing.returncode, "there is no trace, correlation, message or conversation" in missing.stderr) == (
        2,
        True,
    )


def test_trace_of_a_conversation_has_the_applications_spans_and_ours_at_once(system: System) -> None:
    """The application names the conversation; this service, which it uses as `base_url`, reports the same call."""
    began = time.time_ns()
    question = {"model": "offline/small", "messages": [{"role": "user", "content": "Count to five."}]}
    answer = system.post("/v1/chat/completions", question)
    application = {
        "name": "application",
        "start_time_unix_nano": began,
        "end_time_unix_nano": time.time_ns(),
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "offline/small",
            "gen_ai.response.id": answer["id"],
            "gen_ai.usage.input_tokens": answer["usage"]["prompt_tokens"],
            "gen_ai.usage.output_tokens": answer["usage"]["completion_tokens"],
            "gen_ai.conversation.id": "two-services",
        },
    }
    system.export(trace_request(application, trace_id=TRACE_ID[::-1]).SerializeToString())
    shown = spanledger("trace", "two-services", "--data-dir", system.data_dir)
    assert shown.returncode == 0, shown.stderr
    assert "conversation_id two-services" in shown.stdout
    for shown_part in (TRACE_ID[::-1].hex(), "application", "POST /v1/chat/completions", "total: 1 calls"):
        assert shown_part in shown.stdout


@pytest.mark.usefixtures("loaded")
def test_audit_is_balanced_and_readable(system: System) -> None:
    shown = spanledger("audit", "--data-dir", system.data_dir)
    assert shown.returncode == 0, shown.stdout
    assert shown.stdout.splitlines()[-1] == "balanced"
    assert "conversation_usage" in shown.stdout
    report = json.loads(spanledger("audit", "--from", "2026-01-01", "--json", "--data-dir", system.data_dir).stdout)
    assert (report["balanced"], report["differences"]) == (True, [])
    wrong = spanledger("audit", "--from", "yesterday", "--data-dir", system.data_dir)
    assert (wrong.returncode, "write it like" in wrong.stderr) == (2, True)


def test_doctor_finds_a_running_system_well(system: System) -> None:
    shown = spanledger("doctor", "--data-dir", system.data_dir)
    assert shown.returncode == 0, shown.stdout
    for check in ("disk", "running", "migrations", "canary", "lag", "clock"):
        assert f"ok      {check} " in shown.stdout


def test_migrating_is_the_running_systems_own_business(system: System) -> None:
    assert (
        "which migrated it when it started" in spanledger("migrate", "--status", "--data-dir", system.data_dir).stdout
    )
    done = spanledger("migrate", "--data-dir", system.data_dir)
    assert (done.returncode, "restart it with the new version" in done.stderr) == (2, True)


def test_the_same_at_rest(files: Path, tmp_path: Path) -> None:
    place = ("--data-dir", tmp_path / "data")
    done = spanledger("ingest", files, *place)
    assert done.returncode == 0, done.stderr
    assert "4 files: 6 spans, 1 log records loaded and settled" in done.stdout
    books = spanledger("sql", "SELECT sum(cost_usd), sum(llm_calls) FROM usage_1m", "--format", "csv", *place)
    assert books.stdout.splitlines()[1] == "0.00105,5"
    assert "$0.00105 computed" in spanledger("trace", "files", *place).stdout
    assert spanledger("audit", *place).stdout.splitlines()[-1] == "balanced"
    again = spanledger("ingest", files / "a.otlp.pb", *place)  # the same file once more
    assert again.returncode == 0
    books = spanledger("sql", "SELECT sum(cost_usd), sum(llm_calls) FROM usage_1m", "--format", "csv", *place)
    assert books.stdout.splitlines()[1] == "0.00105,5"
    assert spanledger("doctor", *place).returncode == 0


def test_corrupted_books_make_audit_exit_1_and_repair_restores_them(files: Path, tmp_path: Path) -> None:
    place = ("--data-dir", tmp_path / "data")
    spanledger("ingest", files, *place)
    corrupt = (
        "from pathlib import Path; from spanledger.store.client import open_embedded;"
        f"s = open_embedded(Path({str(tmp_path / 'data')!r}));"
        's.command("INSERT INTO ledger (tenant, kind, trace_id, span_id, conversation_id, llm_calls, cost_usd)'
        " VALUES ('default', 'call', 'made', 'up', 'files', 1, 5)\"); s.close()"
    )
    subprocess.run([sys.executable, "-c", corrupt], check=True, timeout=60)
    found = spanledger("audit", *place)
    assert found.returncode == 1
    assert "trace_id=made" in found.stdout
    assert "NOT balanced" in found.stdout
    repaired = spanledger("audit", "--repair", *place)
    assert repaired.returncode == 0
    assert "repaired ledger" in repaired.stdout
    assert "audited again: balanced" in repaired.stdout
    assert spanledger("audit", *place).stdout.splitlines()[-1] == "balanced"


@pytest.mark.usefixtures("loaded")
def test_repricing_is_shown_done_listed_and_taken_back(system: System, tmp_path: Path) -> None:
    book = tmp_path / "negotiated.yaml"
    price = "usd_per_million_tokens: {input: 1, output: 2}"
    book.write_text(f"format: 1\nprices:\n  - provider: openai\n    model: gpt-4o-mini\n    {price}\n")
    place = ("--data-dir", system.data_dir)
    window = ("--from", "2020-01-01", "--to", "2040-01-01", "--price-book", book)

    def cost() -> str:
        return str(system.get("conversations", "files")["usage"]["cost_usd"])

    before = cost()
    would = spanledger("reprice", *window, "--dry-run", *place)
    assert "nothing was posted" in would.stdout
    by_day = spanledger("reprice", *window, "--dry-run", "--by", "day", *place)
    assert by_day.stdout.startswith("day ")
    wish = {"start": "2020-01-01", "end": "2040-01-01", "price_book": book.read_text(), "dry_run": True}
    preview = system.post("/v1/reprice", wish)
    assert {"default"} <= {one["tenant"] for one in preview["groups"]["tenant"]["items"]}
    body = json.dumps(wish | {"wait": 0}).encode()
    status, headers, later = system.request("POST", "/v1/reprice", body, Content_Type="application/json")
    while status == 202:
        assert later["state"] in ("waiting", "running")
        status, _, later = system.request("GET", headers["location"] + "?wait=5")
    assert status == 200, later
    assert (later["old_usd"], later["new_usd"]) == (preview["old_usd"], preview["new_usd"])
    for groups in preview["groups"].values():
        every = [*groups["items"], *([groups["other"]] if groups["other"] else [])]
        for name in ("calls", "old_usd", "new_usd", "difference_usd", "old_unpriced_calls", "new_unpriced_calls"):
            assert sum(Decimal(one[name]) for one in every) == Decimal(preview[name]), name
    assert cost() == before
    done = json.loads(spanledger("reprice", *window, "--json", *place).stdout)
    assert Decimal(cost()) > Decimal(before) * 5
    assert done["reprice_id"] in spanledger("reprice", "--list", *place).stdout
    assert spanledger("audit", *place).stdout.splitlines()[-1] == "balanced"
    assert spanledger("reprice", "--undo", done["reprice_id"], *place).returncode == 0
    assert cost() == before
    again = spanledger("reprice", "--undo", done["reprice_id"], *place)
    assert (again.returncode, "no re-pricing" in again.stderr) == (2, True)
    assert spanledger("reprice", "--from", "2026-01-01", *place).returncode == 2


@pytest.mark.parametrize("name", ["mine.yaml", "mine.json", "..", "."])
@pytest.mark.parametrize(
    "text",
    [
        *("prices: 5", "{", "format: 1\nprices:\n  - provider: 5\n", "[" * 10_000),
        "format: 1\nprices: [{provider: a, model: b, usd_per_million_tokens: {input: -1}}]",
        "format: 1\nprices: [{provider: a, model: b, usd_per_million_tokens: {input: 1e400}}]",
    ],
)
def test_a_price_book_that_is_none_is_its_senders_fault(system: System, name: str, text: str) -> None:
    wish = {"start": "2020-01-01", "end": "2020-01-02", "price_book": text, "price_book_name": name, "dry_run": True}
    body = json.dumps(wish).encode()
    status, _, problem = system.request("POST", "/v1/reprice", body, Content_Type="application/json")
    assert status == 422, problem
    assert "/tmp" not in json.dumps(problem)


@pytest.mark.usefixtures("loaded")
def test_status_shows_what_runs_where_and_the_last_audit(system: System) -> None:
    place = ("--data-dir", system.data_dir)
    assert spanledger("audit", *place).returncode == 0
    shown = spanledger("status", *place)
    assert shown.returncode == 0, shown.stdout
    assert f"API http://127.0.0.1:{system.port}" in shown.stdout
    found = json.loads(spanledger("status", "--json", *place).stdout)
    lines = {line["name"]: line["detail"] for line in found["lines"]}
    assert lines["audit"].partition(": ")[2].startswith("balanced; ")
    assert "spans" in lines["door"].partition(";")[0]
    assert lines["dead"] == "0 dead letters"
    assert found["sizes_bytes"]["clickhouse"] > 100_000
    assert found["running"]["roles"] == "ingest,settle,chat,api"


def test_a_call_that_gets_its_first_price_was_unpriced_and_not_free(system: System, tmp_path: Path) -> None:
    attributes = _call("house")["attributes"] | {"gen_ai.provider.name": "in-house", "gen_ai.request.model": "house-2"}
    system.export(trace_request({"name": "chat", "attributes": attributes}).SerializeToString())
    system.flush()
    book = tmp_path / "prices.yaml"
    book.write_text(
        "format: 1\nprices:\n  - provider: in-house\n    model: house-2\n"
        "    usd_per_million_tokens: {input: 1, output: 1}\n"
    )
    window = ("--from", "2020-01-01", "--to", "2040-01-01", "--price-book", book)
    shown = spanledger("reprice", *window, "--dry-run", "--data-dir", system.data_dir)
    row = next(line for line in shown.stdout.splitlines() if line.startswith("in-house"))
    assert row.split() == ["in-house", "house-2", "1", "unpriced", "0.0011"]
