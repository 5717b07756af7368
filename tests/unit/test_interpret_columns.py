"""Spans that are read many at a time say what each says by itself.

Data: every capture, forests of the oracle and made-up traffic, as they are and with values thrown about between spans
and replaced by nonsense.
"""

import random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from test_ledger_plain import told  # noqa: F401

from spanledger.dialects.columns import ColumnReader
from spanledger.dialects.figures import Figures, Usage
from spanledger.dialects.interpreter import Interpreter, interpreter
from spanledger.dialects.lexicon import lexicon
from spanledger.dialects.usage import COLUMNS, Case, tokens
from spanledger.ledger import spans

TRAFFIC = ("captures", "forests", "recorded", "varied")
TURNS = 6
_NONSENSE = (
    *(
        "",
        "0",
        "00012",
        "-5",
        "1.5",
        "1e3",
        "nan",
        "inf",
        "٣",
        "999999999999",
        "9999999999999",
        "1_000",
        " 7",
        "x" * 400,
    ),
    *("resp_1", "resp_" + "A" * 90, "chatcmpl-1", "run-1", "litellm-1", "trace_1", '["a", "b"]', "[]", '"7"', '"id"'),
    *(
        "{}",
        "{'a': 1}",
        '{"input_tokens": 5, "output_tokens": 7}',
        '{"usage": {"prompt_tokens": 3, "completion_tokens": 4}}',
    ),
    *("true", "usd", "eur", "error", "stop", "1970-01-01T00:00:01Z", "None", "null", "\x00", "{", "prompt_tokens=3"),
)


def _of_rows(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table["normalised"], 0)).combine_chunks()


def _differences(rows: pa.Table, reader: ColumnReader) -> list[tuple[str, object, object]]:
    columns, mask = reader.read(rows)
    alone = spans.one_by_one(rows.filter(pa.array(mask)))
    return [
        (name, one, other)
        for name, values in alone.items()
        for one, other in zip(values.to_pylist(), columns[name].to_pylist(), strict=True)
        if one != other
    ]


@pytest.mark.parametrize("traffic", TRAFFIC)
def test_the_same_as_each_by_itself(told: dict[str, pa.Table], traffic: str) -> None:  # noqa: F811
    rows = _of_rows(told[f"said-{traffic}"])
    reader = ColumnReader(Interpreter(lexicon()))
    assert _differences(rows, reader) == []
    assert _differences(rows, reader) == []  # and when the kinds are known


@pytest.mark.parametrize("traffic", TRAFFIC)
@pytest.mark.parametrize("seed", range(TURNS))
def test_the_same_of_nonsense(told: dict[str, pa.Table], traffic: str, seed: int) -> None:  # noqa: F811
    rng = random.Random(f"{traffic} {seed}")
    rows = _of_rows(told[f"said-{traffic}"])
    rows = rows.slice(rng.randrange(max(1, rows.num_rows - 500)), 500).combine_chunks()
    reader = ColumnReader(interpreter())
    for share in (0.01, 0.1, 0.5):
        assert _differences(_thrown(rows, rng, share), reader) == []


@pytest.mark.parametrize("traffic", ["recorded", "varied"])
def test_most_traffic_is_read_by_columns(told: dict[str, pa.Table], traffic: str) -> None:  # noqa: F811
    _, mask = ColumnReader(interpreter()).read(_of_rows(told[f"said-{traffic}"]))
    assert mask.mean() > 0.9


def test_counts_by_columns_say_what_the_rules_say() -> None:
    rng = random.Random(1)
    names = [*lexicon().tables.counts]
    figures = Figures()
    for _ in range(120):
        case = Case(**{name: rng.random() < 0.4 for name in Case._fields})
        some = rng.sample(names, rng.randint(1, len(names)))
        said = [{name: rng.choice((0, 1, 2, 3, 5, 8, 10**11)) for name in some} for _ in range(60)]
        usage = Usage.unknown(len(said))
        columns = {name: np.array([one[name] for one in said], np.int64) for name in some}
        figures.fill(usage, case, np.arange(len(said)), columns)
        for row, counts in enumerate(said):
            anomalies: list[str] = []
            expected = tokens(case, counts, anomalies)
            found = {n: int(usage.values[n][row]) if usage.known[n][row] else None for n in COLUMNS}
            assert found | {"usage_estimated": int(usage.estimated[row])} == expected
            assert usage.anomalies[usage.anomaly[row]] == sorted(set(anomalies))


def _thrown(rows: pa.Table, rng: random.Random, share: float) -> pa.Table:
    """The same spans with some values of their facts taken from elsewhere, or replaced by nonsense."""
    facts = rows["facts"].combine_chunks()
    items = facts.items.to_pylist()
    for place in rng.sample(range(len(items)), int(len(items) * share)):
        items[place] = rng.choice(_NONSENSE) if rng.random() < 0.6 else rng.choice(items)
    thrown = pa.MapArray.from_arrays(facts.offsets, facts.keys, pa.array(items, facts.type.item_type))
    position = rows.schema.get_field_index("facts")
    return rows.set_column(position, rows.schema.field(position), thrown.cast(facts.type))
