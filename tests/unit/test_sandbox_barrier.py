"""A person's statement is never evaluated on other tenants' rows: no answer and no error depends on them."""

import ctypes
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger_rows import NOON, SECOND, ledger_row, write_rows
from spanledger.errors import BadRequest
from spanledger.stats.sandbox.answers import MAX_SECONDS
from spanledger.stats.sandbox.child import Child, ChildError
from spanledger.stats.sandbox.direct import Direct
from spanledger.stats.sandbox.sandbox import Process, Sandbox
from spanledger.stats.sandbox.source import Bounds, SourceTooLarge
from spanledger.stats.times import Window
from spanledger.store.client import Store
from sql_grammar import Grammar
from two_tenants import FORMS, OTHER_WORDS, answer, fill, lie_together

# One block, in which the engine does not look at its limits.
UNSTOPPABLE = "SELECT sum(editDistance(repeat(toString(number % 7), 60000), repeat('b', 60000))) FROM numbers(500)"


@pytest.fixture(scope="module")
def mine(store: Store) -> Iterator[Sandbox]:
    fill(store, "mine", str, 3)
    opened = Sandbox(store, "mine")
    yield opened
    opened.close()


def test_no_form_of_a_query_reaches_other_tenants_rows(store: Store, mine: Sandbox) -> None:
    queries = [form.format(t="document_chunks") for form in FORMS.values()]
    before = [answer(mine.run, query) for query in queries]
    assert [one for one in before if one.startswith("refused: ") and "for enum" not in one] == []
    fill(store, "other", lambda n: f"{OTHER_WORDS} {n % 3}", 40)
    lie_together(store)
    for name, query, first in zip(FORMS, queries, before, strict=True):
        again = answer(mine.run, query)
        assert again == first, name
        assert OTHER_WORDS not in again, name


def differing(run: Callable[[str, str], bytes], store: Store, queries: int, seed: int) -> list[str]:
    """The statements whose answers change when another tenant's rows do."""
    grammar = Grammar(random.Random(seed))
    statements = [grammar.statement() for _ in range(queries)]
    fill(store, "other", str, 3)
    before = [answer(run, statement) for statement in statements]
    fill(store, "other", lambda n: OTHER_WORDS + "!" * (n % 7), 40)
    lie_together(store)
    after = [answer(run, statement) for statement in statements]
    answered = sum(not one.startswith("refused") for one in before)
    print(f"{queries} statements, seed {seed}: {answered} answered, each twice, with other rows beside it")
    assert answered > queries / 2, f"only {answered} of {queries} statements can be run: {before[:20]}"
    return [
        f"{s}: {b!r} → {a!r}" for s, b, a in zip(statements, before, after, strict=True) if a != b or OTHER_WORDS in a
    ]


def forget_other(store: Store) -> None:
    for table, column in (
        ("document_chunks", "tenant"),
        ("ledger", "tenant"),
        ("messages", "tenant"),
        ("genai_spans", "tenant"),
        ("otel_logs", "Tenant"),
    ):
        store.command(f"ALTER TABLE {table} DELETE WHERE {column} = 'other'", settings={"mutations_sync": 1})


def test_random_statements_do_not_depend_on_other_tenants_rows(store: Store, mine: Sandbox) -> None:
    forget_other(store)
    assert differing(mine.run, store, 500, seed=1) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 22))
def test_very_many_random_statements_do_not_depend_on_other_tenants_rows(
    store: Store, mine: Sandbox, seed: int
) -> None:
    forget_other(store)
    assert differing(mine.run, store, 1_000, seed) == []


def test_such_statements_do_find_what_a_filter_lets_through(store: Store, mine: Sandbox) -> None:
    filtered = Direct(store, "mine")
    forget_other(store)
    assert len(differing(filtered.run, store, 200, seed=1)) > 3
    filtered.close()


@pytest.fixture
def child() -> Iterator[Child]:
    started = Child()
    started.ask(60, threading.Event(), do="begin", settings=["readonly = 1"], database="default")
    yield started
    started.kill()


@pytest.mark.skipif(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1, reason="this kernel has no Landlock")
@pytest.mark.parametrize("path", ["{data_dir}/lock", "/etc/passwd", "/proc/1/status", "/proc/{parent}/environ"])
def test_the_process_can_read_no_file_but_its_own(store: Store, child: Child, data_dir: Path, path: str) -> None:
    """Even its owner's statements cannot, which no rule stops."""
    named = path.format(data_dir=data_dir, parent=os.getpid())
    own = f"INSERT INTO FUNCTION file('{child.scratch}/a.txt', 'LineAsString', 'a String') SELECT 'x'"
    child.ask(60, threading.Event(), do="define", statements=[own])
    statement = f"CREATE TABLE t ENGINE = Memory AS SELECT * FROM file('{named}', 'LineAsString', 'a String')"
    with pytest.raises(ChildError, match=r"ermission denied|not exist|CANNOT_OPEN_FILE|CANNOT_STAT"):
        child.ask(60, threading.Event(), do="define", statements=[statement])


def test_a_statement_that_cannot_be_interrupted_is_killed(mine: Sandbox) -> None:
    started = time.monotonic()
    mine.run("SELECT 1")
    first = mine.pid
    with pytest.raises(BadRequest, match="longer than"):
        mine.run(UNSTOPPABLE)
    assert MAX_SECONDS <= time.monotonic() - started < 3 * MAX_SECONDS
    assert not Path(f"/proc/{first}").exists()
    assert mine.run("SELECT 1", "csv") == b'"1"\n1\n'


def test_a_process_that_ends_by_itself_costs_no_statement(store: Store) -> None:
    """It may end when a statement is on its way to it."""
    for number in range(3):
        sandbox = Sandbox(store, "mine")
        sandbox._process = Process(Child(idle_s=0.0))
        assert sandbox.run(f"SELECT {number}", "csv").splitlines()[1] == str(number).encode()
        sandbox.close()


def test_a_statement_ends_when_its_client_goes(mine: Sandbox) -> None:
    gone = threading.Event()
    threading.Timer(0.5, gone.set).start()
    with pytest.raises(BadRequest, match="client has gone"):
        mine.run(UNSTOPPABLE, cancelled=gone)
    assert mine.pid is None


def test_the_process_ends_with_its_owner() -> None:
    program = (
        "import os, signal, sys, threading\n"
        "from spanledger.stats.sandbox.child import Child\n"
        "child = Child()\n"
        "print(child.pid, child.scratch, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    pid, scratch = told.stdout.split()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        os.sched_yield()
    assert not Path(f"/proc/{pid}").exists()
    assert list(Path(scratch).iterdir()) == []  # the folder itself is not its own to remove
    Path(scratch).rmdir()


def test_rows_beyond_the_bound_ask_for_a_narrower_time(store: Store, tenant: str) -> None:
    fill(store, tenant, str, 6)
    write_rows(store, "ledger", [ledger_row(9, tenant, started_at=NOON + 7200 * SECOND)])
    sandbox = Sandbox(store, tenant, Bounds(rows=5))
    with pytest.raises(SourceTooLarge, match="narrow the time") as refused:
        sandbox.run("SELECT count() FROM ledger")
    assert refused.value.status == 413
    later = Window(start=NOON + 3600 * SECOND)
    assert sandbox.run("SELECT count() FROM ledger", "csv", later).splitlines()[1] == b"1"
    sandbox.close()


def test_new_rows_are_seen_at_once(store: Store, tenant: str) -> None:
    sandbox = Sandbox(store, tenant)
    for rows in range(1, 4):
        write_rows(store, "ledger", [ledger_row(rows, tenant)])
        assert sandbox.run("SELECT count() FROM ledger", "csv").splitlines()[1] == str(rows).encode()
    sandbox.close()
