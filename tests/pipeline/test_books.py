"""The books equal the ground truth, whatever the spans look like and however they arrive.

Many random forests, each under tenants of its own, are delivered together, body by body: shuffled, re-batched, several
times over, parents last, with the system killed in between. Then every total must equal what each forest knows.
"""

import itertools
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
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from oracle.deliveries import Delivery, deliveries
from oracle.forests import Forest, forests, isolated
from oracle.totals import DIMENSIONS, Amounts, Dimension, Totals
from system import WITHOUT_CHAT, System

FORESTS = 100  # that share inserts, restarts and one look at the books, which is what the time goes to
KILLS = 3
_COLUMNS = {
    "tenant": "tenant",
    "model": "model",
    "user": "user_id",
    "conversation": "conversation_id",
    "message": "message_id",
}
SOURCES = ("ledger", "rollups")
_counter = itertools.count()

Sent = tuple[Forest, Delivery]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("books") / "data", roles=WITHOUT_CHAT).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


@st.composite
def sendings(draw: st.DrawFn) -> Sent:
    forest = isolated(draw(forests(max_traces=3)), f"f{next(_counter)}")
    return forest, draw(deliveries(forest.spans))


def drawn(count: int) -> list[Sent]:
    """So many forests, each an example of hypothesis of its own."""
    result: list[Sent] = []

    @given(sending=sendings())
    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate])
    def draw(sending: Sent) -> None:
        result.append(sending)

    draw()
    assert len(result) >= count
    return result


@pytest.mark.parametrize("turn", range(2))
def test_totals_equal_the_truth(books: System, turn: int) -> None:
    check(books, drawn(FORESTS))


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(20))
def test_totals_equal_the_truth_two_thousand_times(books: System, turn: int) -> None:
    check(books, drawn(FORESTS))


def check(books: System, batch: list[Sent]) -> None:
    deliver(books, [delivery for _, delivery in batch])
    assert books.stop() == 0
    tenants = sorted({span.tenant for forest, _ in batch for span in forest.spans})
    answer = read(books, {source + d: query(source, d, tenants) for source in SOURCES for d in DIMENSIONS})
    books.start()
    should = readable(*(forest.truth for forest, _ in batch))
    for source in SOURCES:
        found = readable(totals({d: answer["rows"][source + d] for d in DIMENSIONS}))
        wrong = {key: (should.get(key), found.get(key)) for key in should | found if should.get(key) != found.get(key)}
        assert wrong == {}, f"{source}: {len(wrong)} lines\n" + _story(batch, wrong)
    assert answer["audit"]["balanced"], answer["audit"]["differences"][:3]


def _story(batch: list[Sent], wrong: dict[str, Any]) -> str:
    """The first forest that has a wrong line: what should be and is, and its spans."""
    for forest, _ in batch:
        tenants = {span.tenant for span in forest.spans}
        lines = [f"{key}: should, found {values}" for key, values in wrong.items() if any(t in key for t in tenants)]
        if lines:
            return "\n".join([*lines, *map(str, forest.spans)])
    return "no forest has these tenants"


def deliver(books: System, plans: list[Delivery]) -> None:
    """Body by body, those of all forests in turn; the system is killed where most forests want a restart."""
    longest = max(len(plan.bodies) for plan in plans)
    wanted = sorted(range(longest), key=lambda turn: -sum(turn in plan.restarts_after for plan in plans))[:KILLS]
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
    books.flush()


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
