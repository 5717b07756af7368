"""The books equal the ground truth, whatever the spans look like and however they arrive.

A batch of random forests, each under tenants of its own, is delivered body by body: shuffled, re-batched, several times
over, parents last, with the system killed in between. Then every total must equal what each forest knows of itself.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from oracle.deliveries import Delivery, deliveries
from oracle.forests import Forest, forests, isolated
from oracle.totals import DIMENSIONS, Amounts, Dimension, Totals
from system import System

BATCH = 20  # forests in one hypothesis example: they share the inserts, which is what the time goes to
LARGE = settings(
    suppress_health_check=list(HealthCheck), deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
_COLUMNS = {
    "tenant": "tenant",
    "model": "model",
    "user": "user_id",
    "conversation": "conversation_id",
    "message": "message_id",
}
SOURCES = ("ledger", "rollups")
_counter = iter(range(10**9))

Sent = tuple[Forest, Delivery]


class Batch(list[Sent]):
    """Forests that are delivered together; a short repr, because a whole one would be megabytes."""

    def __repr__(self) -> str:
        return f"<{len(self)} forests, {sum(len(forest.spans) for forest, _ in self)} spans>"


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("books") / "data").start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    batch = Batch()
    for _ in range(BATCH):
        forest = isolated(draw(forests(max_traces=3)), f"f{next(_counter)}")
        batch.append((forest, draw(deliveries(forest.spans))))
    return batch


@given(batch=batches())
@settings(LARGE, max_examples=10)
def test_totals_equal_the_truth(books: System, batch: Batch) -> None:
    check(books, batch, kills=1)


@pytest.mark.slow
@given(batch=batches())
@settings(LARGE, max_examples=100)
def test_totals_equal_the_truth_two_thousand_times(books: System, batch: Batch) -> None:
    check(books, batch, kills=2)


def check(books: System, batch: Batch, kills: int) -> None:
    deliver(books, [delivery for _, delivery in batch], kills)
    assert books.stop() == 0
    tenants = sorted({span.tenant for forest, _ in batch for span in forest.spans})
    answer = read(books, {source + d: query(source, d, tenants) for source in SOURCES for d in DIMENSIONS})
    books.start()
    should = readable(*(forest.truth for forest, _ in batch))
    for source in SOURCES:
        found = readable(totals({d: answer["rows"][source + d] for d in DIMENSIONS}))
        wrong = {key: (should.get(key), found.get(key)) for key in should | found if should.get(key) != found.get(key)}
        assert wrong == {}, f"{source}: {len(wrong)} lines, first (should, found): {list(wrong.items())[:3]}"
    assert answer["audit"]["balanced"], answer["audit"]["differences"][:3]


def deliver(books: System, plans: list[Delivery], kills: int) -> None:
    """Body by body, those of all forests in turn; the system is killed where most forests want a restart."""
    longest = max(len(plan.bodies) for plan in plans)
    wanted = sorted(range(longest), key=lambda turn: -sum(turn in plan.restarts_after for plan in plans))[:kills]
    for turn in range(longest):
        for plan in plans:
            if turn < len(plan.bodies):
                body = plan.bodies[turn]
                status, _, answer = books.request(
                    "POST", "/v1/traces", body, books.otlp_port, Content_Type="application/x-protobuf"
                )
                assert status == 200, answer
        if turn in wanted:
            books.kill()
            books.start()
    books.post("/v1/flush", {})


def query(source: str, dimension: Dimension, tenants: list[str]) -> str:
    """The sums as the books have them; `rollups` reads each dimension from the table made for it."""
    tables = {"user": "user_usage_1h", "conversation": "conversation_usage", "message": "message_usage"}
    table = "ledger" if source == "ledger" else tables.get(dimension, "usage_1m")
    names = ", ".join(f"'{tenant}'" for tenant in tenants)
    sums = ", ".join(f"toString(sum({f.name}))" for f in fields(Amounts))
    column = _COLUMNS[dimension]
    return f"SELECT tenant, {column}, {sums} FROM {table} WHERE tenant IN ({names}) GROUP BY tenant, {column}"


def totals(rows: dict[Dimension, list[list[str]]]) -> Totals:
    result = Totals()
    for dimension, lines in rows.items():
        for tenant, value, *texts in lines:
            amounts = {f.name: text for f, text in zip(fields(Amounts), texts, strict=True)}
            result.sums[dimension][tenant, value] = Amounts(
                **{name: Decimal(text) if name == "cost_usd" else int(text) for name, text in amounts.items()}
            )
    return result


def read(books: System, queries: dict[str, str]) -> dict[str, Any]:
    """Answers from the data folder of a stopped system, across tenants."""
    script = Path(__file__).parents[1] / "read_books.py"
    command = [sys.executable, str(script), str(books.data_dir)]
    ran = subprocess.run(command, input=json.dumps(queries), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def readable(*many: Totals) -> dict[str, dict[str, Any]]:
    """Without zeros, so that a difference can be seen. A tool has no model."""
    result: dict[str, dict[str, Any]] = defaultdict(dict)
    for totals in many:
        for dimension, sums in totals.sums.items():
            for key, amounts in sums.items():
                named = {n: v for n, v in asdict(amounts).items() if v and not (dimension == "model" and "tool" in n)}
                if named:
                    result[f"{dimension} {key}"] = named
    return dict(result)
