"""Plain traces are told by columns, the others span by span: both say the same wherever both can speak.

Data: every capture, forests of the oracle, and both with values thrown about between their rows, as no sender should.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from hypothesis import Phase, given, settings

from captures import all_captures
from oracle.forests import Forest, forests, isolated
from oracle.spans import encode
from spanledger.bench import landing, recorded, varied
from spanledger.books.chains import Plain
from spanledger.books.compute import compute, span_by_span
from spanledger.books.entries import difference
from spanledger.books.inheritance import Context
from spanledger.ledger import spans
from spanledger.ledger.activations import Activation, LedgerPrices
from spanledger.ledger.rollups import EARLIEST, LATEST
from spanledger.pricing import load_book
from spanledger.store.client import open_embedded
from spanledger.store.migrate import migrate

FORESTS = 60
_PATH = os.pathsep.join(sys.path)
TURNS = 6
_OURS = "spanledger.workflows"
_THROWN = (
    *("parent_span_id", "scope", "service", "role", "provider", "request_model", "response_model", "response_id"),
    *("told_calls", "server_address"),
    *("status", "finish_reason", "conversation_id", "message_id", "user_id", "response_cache", "service_tier"),
    *("started_at_ns", "duration_ns", "input_tokens", "output_tokens", "cache_read_input_tokens", "usage_estimated"),
    *("reasoning_output_tokens", "cache_write_input_tokens", "cost_claim_usd", "cost_claim_source", "tool"),
)


@pytest.fixture(scope="module")
def prices() -> LedgerPrices:
    book = load_book()
    return LedgerPrices([Activation("first", book.version, EARLIEST, LATEST)], {book.version: book})


def drawn_forests() -> Iterator[bytes]:
    found: list[Forest] = []

    @given(forest=forests(max_traces=3))
    @settings(max_examples=FORESTS, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    def draw(forest: Forest) -> None:
        found.append(isolated(forest, f"plain-{len(found)}"))

    draw()
    return (encode(forest.spans) for forest in found)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """Spans of each kind of traffic, as settlement reads them. A process holds one engine: another lands them."""
    folder = tmp_path_factory.mktemp("plain")
    subprocess.run([sys.executable, __file__, folder], check=True, env={**os.environ, "PYTHONPATH": _PATH}, timeout=300)
    return {file.stem: feather.read_table(file) for file in folder.glob("*.feather")}


def land_all(folder: Path) -> None:
    """Writes the table of each kind of traffic into a file of its name."""
    store = open_embedded(folder / "data")
    migrate(store)
    protobuf = [b for c in all_captures() for kind, b in c.bodies if "json" not in kind]
    sources = {
        "captures": ((body, 0) for body in protobuf),
        "forests": ((body, 0) for body in drawn_forests()),
        "recorded": recorded.bodies(2_000),
        "varied": varied.bodies(2_000),
    }
    for name, bodies in sources.items():
        landing.land(store, bodies)
        key = "tenant, trace_id, span_id"
        rows = store.arrow(f"SELECT {spans.COLUMNS} FROM genai_spans ORDER BY {key}, version DESC LIMIT 1 BY {key}")
        feather.write_feather(rows, str(folder / f"said-{name}.feather"), compression="uncompressed")
        table = pa.concat_tables(spans.interpreted(rows)).sort_by(spans.ORDER)
        feather.write_feather(table, str(folder / f"{name}.feather"), compression="uncompressed")
        store.command("TRUNCATE TABLE genai_spans")
    store.close()


def differences(table: pa.Table, prices: LedgerPrices) -> list[object]:
    by_columns, (by_span, _) = compute(table, prices), span_by_span(table, prices)
    found: list[object] = list(difference(by_span.book, by_columns.book).items())
    messages = by_columns.messages.items() ^ by_span.messages.items()
    found += sorted(messages, key=str)
    found += set(by_columns.joined) ^ set(by_span.joined)
    return found + sorted(set(by_columns.anomalies) ^ set(by_span.anomalies))


@pytest.mark.parametrize("traffic", ["captures", "forests", "recorded", "varied"])
def test_both_ways_say_the_same(told: dict[str, pa.Table], prices: LedgerPrices, traffic: str) -> None:
    assert differences(told[traffic], prices) == []


@pytest.mark.parametrize("traffic", ["recorded", "varied"])
def test_most_traffic_is_plain(told: dict[str, pa.Table], traffic: str) -> None:
    table = told[traffic]
    roles = np.isin(np.array(table["role"].to_pylist()), ["inference", "embedding", "rerank"])
    measured = np.array([tokens is not None for tokens in table["input_tokens"].to_pylist()])
    plain = Plain(table, Context(table), roles | measured)
    assert plain.odd[plain.trace].mean() < 0.2


@pytest.mark.parametrize("traffic", ["captures", "forests", "recorded", "varied"])
@pytest.mark.parametrize("seed", range(TURNS))
def test_both_ways_say_the_same_of_nonsense(
    told: dict[str, pa.Table], prices: LedgerPrices, traffic: str, seed: int
) -> None:
    """Some values of some columns stand in other rows than they came in."""
    rng = random.Random(f"{traffic} {seed}")
    table = told[traffic]
    start = rng.randrange(max(1, table.num_rows - 400))
    table = _whole_traces(table, start, start + rng.randrange(20, 400))
    for name in rng.sample(_THROWN, rng.randint(1, 5)):
        table = _thrown(table, name, rng)
    assert differences(table, prices) == []


def _whole_traces(table: pa.Table, start: int, end: int) -> pa.Table:
    wanted = set(zip(*(table[n].slice(start, end - start).to_pylist() for n in ("tenant", "trace_id")), strict=True))
    keys = zip(*(table[n].to_pylist() for n in ("tenant", "trace_id")), strict=True)
    return table.filter(pa.array([key in wanted for key in keys]))


def _thrown(table: pa.Table, name: str, rng: random.Random) -> pa.Table:
    values = table[name].to_pylist()
    moved = rng.sample(range(len(values)), rng.randint(1, len(values)))
    for place, source in zip(moved, rng.choices(range(len(values)), k=len(moved)), strict=True):
        values[place] = _OURS if name == "scope" and rng.random() < 0.2 else values[source]
    position = table.schema.get_field_index(name)
    return table.set_column(position, name, pa.array(values, table.schema.field(name).type))


if __name__ == "__main__":
    land_all(Path(sys.argv[1]))
