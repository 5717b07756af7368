"""One tenant's heavy requests hold up neither another tenant's nor the end of the process."""

import json
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from guarded import Caller, make_key, spanledger
from ledger_rows import NOON, SECOND
from otlp_make import trace_request
from spanledger.api.fairness import WIDTHS
from system import WITHOUT_CHAT, System

UNSTOPPABLE = "SELECT sum(editDistance(repeat(toString(number % 7), 60000), repeat('b', 60000))) FROM numbers(500)"
DAY = "2026-11-21"
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.conversation.id": "fair",
    "user.id": "ada",
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    data_dir = tmp_path_factory.mktemp("fair") / "data"
    made = {f"{tenant} {role}": make_key(data_dir, tenant, role) for tenant in ("red", "blue") for role in ("admin",)}
    return {**made, "red read": make_key(data_dir, "red", "read"), "data_dir": str(data_dir)}


@pytest.fixture(scope="module")
def fair(keys: dict[str, str]) -> Iterator[System]:
    system = System(Path(keys["data_dir"]), roles=WITHOUT_CHAT, require_keys=True)
    system.flags = [flag.removesuffix("=True") for flag in system.flags]
    system.start()
    yield system
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()


@pytest.fixture
def red(fair: System, keys: dict[str, str]) -> Caller:
    return Caller(fair, keys["red admin"])


@pytest.fixture
def blue(fair: System, keys: dict[str, str]) -> Caller:
    return Caller(fair, keys["blue admin"])


def process_of_sql(system: System) -> list[int]:
    """The processes of people's SQL that live."""
    assert system.process is not None
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command, status = path.read_bytes(), (path.parent / "stat").read_text()
        except OSError:
            continue
        parent = int(status.rpartition(")")[2].split()[1])
        if b"stats.sandbox.engine" in command and parent == system.process.pid:
            found.append(int(path.parent.name))
    return found


def until(true: Any, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        threading.Event().wait(0.05)
    return False


@contextmanager
def asking(caller: Caller, query: str) -> Iterator[socket.socket]:
    """A client that waits for the answer to a query, and goes."""
    body = json.dumps({"query": query}).encode()
    with socket.create_connection(("127.0.0.1", caller.system.port)) as client:
        head = "POST /v1/sql HTTP/1.1\r\nHost: 127.0.0.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in caller.headers.items()
        )
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        yield client


def ticks(process: int) -> int:
    """Of processor time; -1 when it has ended."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11])
    except OSError:
        return -1


def refused(clients: list[socket.socket]) -> int:
    """How many have an answer that says: too many."""
    readable, _, _ = select.select(clients, [], [], 0)
    return sum(client.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 429" for client in readable)


def test_heavy_queries_of_one_key_leave_the_threads_to_others(fair: System, red: Caller, blue: Caller) -> None:
    """42 queries that nothing but the end of their process stops; blue is served while red's first one still runs."""
    assert red.call("POST", "/v1/sql", {"query": "SELECT 1"})[0] == 200
    (worker,) = process_of_sql(fair)
    with ExitStack() as stack:
        clients = [stack.enter_context(asking(red, UNSTOPPABLE)) for _ in range(42)]
        before = ticks(worker)
        assert until(lambda: ticks(worker) > before + 10), "the first one computes"
        assert until(lambda: refused(clients) == 42 - 1 - WIDTHS["sql"].waiting), (
            "beyond its place to wait it is told so"
        )
        for _ in range(3):
            assert blue.call("GET", "/v1/usage")[0] == 200
            assert fair.request("GET", "/readyz")[0] == 200
        assert ticks(worker) > before, "red's first query still runs: nobody waited for it"
        assert blue.call("POST", "/v1/sql", {"query": "SELECT 1"})[0] == 200
        assert len(process_of_sql(fair)) <= WIDTHS["sql"].total
    assert until(lambda: ticks(worker) < 0), "the clients have gone"
    assert red.call("POST", "/v1/sql", {"query": "SELECT 1"})[0] == 200


def test_a_query_ends_with_its_client(fair: System, red: Caller) -> None:
    assert red.call("POST", "/v1/sql", {"query": "SELECT 1"})[0] == 200
    known = {process: ticks(process) for process in process_of_sql(fair)}
    with asking(red, UNSTOPPABLE):
        assert until(lambda: any(ticks(process) > before + 20 for process, before in known.items())), "it computes"
        (worker,) = [process for process, before in known.items() if ticks(process) > before + 20]
    assert until(lambda: ticks(worker) < 0, 8), "its client has gone, and so has it"
    assert red.call("POST", "/v1/sql", {"query": "SELECT 1"})[0] == 200


def test_an_answer_is_bounded(red: Caller) -> None:
    query = "SELECT repeat('\\x01', 1000000) FROM numbers(15)"  # six times as long in JSON
    status, problem = red.call("POST", "/v1/sql", {"query": query})
    assert (status, "add a LIMIT" in problem["detail"]) == (422, True)


def test_an_audit_is_for_admins_and_of_their_tenant(
    fair: System, keys: dict[str, str], red: Caller, blue: Caller
) -> None:
    call = {"attributes": CALL, "start_time_unix_nano": NOON, "end_time_unix_nano": NOON + SECOND}
    assert red.send(trace_request(call, call).SerializeToString()) == 200
    assert blue.send(trace_request(call).SerializeToString()) == 200
    red.flush()
    assert Caller(fair, keys["red read"]).call("GET", "/v1/audit")[0] == 403
    reports = {who: caller.get("audit", from_=DAY, to="2026-11-22") for who, caller in (("red", red), ("blue", blue))}
    assert {who: (one["balanced"], one["checked"]["traces"]) for who, one in reports.items()} == {
        "red": (True, 1),
        "blue": (True, 1),
    }
    assert [reports["red"]["checked"]["spans"], reports["blue"]["checked"]["spans"]] == [2, 1]
    assert red.call("GET", "/v1/audit?tenant=blue")[0] == 403


def test_an_audit_goes_on_as_an_operation(fair: System, red: Caller, blue: Caller) -> None:
    status, headers, begun = fair.request("GET", "/v1/audit?wait=0&from=2026-01-01", **red.headers)
    assert (status, begun["state"] in {"waiting", "running"}) == (202, True)
    assert headers["location"] == f"/v1/operations/{begun['operation_id']}"
    assert blue.call("GET", headers["location"])[0] == 404
    status, report = red.call("GET", headers["location"] + "?wait=60")
    assert (status, report["balanced"]) == (200, True)
    assert report == red.call("GET", headers["location"])[1]
    assert red.call("GET", "/v1/operations/none")[0] == 404


@pytest.mark.parametrize("thing", ["conversation=fair", "user=ada"])
def test_one_thing_is_audited_at_once(red: Caller, blue: Caller, thing: str) -> None:
    status, report = red.call("GET", f"/v1/audit?{thing}")
    assert (status, report["balanced"], report["checked"]["spans"]) == (200, True, 2)
    assert blue.call("GET", f"/v1/audit?{thing}")[1]["checked"]["spans"] == 1
    assert red.call("GET", f"/v1/audit?{thing}&trace=x")[0] == 422
    assert red.call("GET", f"/v1/audit?{thing}&from=2026-01-01")[0] == 422


def test_the_command_audits_a_running_system(fair: System) -> None:
    done = spanledger("audit", "--data-dir", fair.data_dir)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "balanced")


def test_a_query_does_not_outlive_the_end_of_the_process(keys: dict[str, str], tmp_path: Path) -> None:
    system = System(tmp_path / "data", roles=WITHOUT_CHAT).start()
    anybody = Caller(system, "")
    assert anybody.call("POST", "/v1/sql", {"query": "SELECT 1"})[0] == 200
    (worker,) = process_of_sql(system)
    before = ticks(worker)
    with asking(anybody, UNSTOPPABLE):
        assert until(lambda: ticks(worker) > before + 20)
        assert system.stop() == 0
    assert ticks(worker) < 0


def test_merges_yield_to_whoever_waits_for_an_answer(fair: System) -> None:
    assert fair.process is not None
    threads = list(Path(f"/proc/{fair.process.pid}/task").glob("*"))
    priorities = {thread.name: os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in threads}
    merging = {thread.name for thread in threads if (thread / "comm").read_text().strip() == "MergeMutate"}
    assert merging
    assert {priorities[name] for name in merging} == {10}
    assert max(priorities[thread.name] for thread in threads if thread.name not in merging) == 0


def test_a_question_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    system = System(tmp_path / "data", roles=WITHOUT_CHAT).start(SPANLEDGER_READ_SECONDS="0.000001")
    anybody = Caller(system, "")
    for path in ("/v1/usage?from=-24h", "/v1/messages", "/v1/spans?model=gpt-4o", "/v1/find?id=x"):
        status, problem = anybody.call("GET", path)
        assert (status, problem["title"]) == (503, "Took too long"), path
        assert "ask for a shorter window" in problem["detail"]
    assert anybody.call("GET", "/readyz")[0] == 200
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()
