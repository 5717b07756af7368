"""The layout of copy keys is said in Python and in SQL: both agree, with each other and with what the views write."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spanledger.books import copy_keys
from spanledger.books.cityhash import city_hash
from spanledger.ledger import spans
from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store import migrate
from spanledger.store.client import Store

HASHES = st.integers(0, 2**64 - 1)


def test_sql_and_python_make_the_same_keys(store: Store) -> None:
    numbers = [0, 1, 2**28 - 1, 2**32 - 1]
    hashes = [0, 2**24, 2**63, 2**64 - 1]
    for number, name_hash in zip(numbers, hashes, strict=True):
        row = store.query(
            f"""
            SELECT {copy_keys.SQL_OF_TRACE.format(hash="{number:UInt32}")},
                {copy_keys.SQL_OF_SAME.format(hash="{name:UInt64}")},
                {copy_keys.SQL_OF_LIKENESS.format(minute="{minute:UInt64}", likeness="{likeness:UInt64}")} AS key,
                {copy_keys.SQL_MINUTE}, {copy_keys.SQL_LIKENESS}, {copy_keys.SQL_IS_SURE}
            """,
            {"number": number, "name": name_hash, "minute": number % 2**27, "likeness": name_hash >> 28},
        )[0]
        alike = copy_keys.of_likeness(number % 2**27, name_hash >> 28)
        assert row == (
            copy_keys.of_trace(number),
            copy_keys.of_same(name_hash),
            alike,
            copy_keys.minute_of(alike),
            copy_keys.likeness_of(alike),
            int(copy_keys.is_sure(alike)),
        )


@given(HASHES, st.integers(0, 2**27 - 1))
def test_kinds_of_keys_never_meet(name_hash: int, minute: int) -> None:
    same, trace = copy_keys.of_same(name_hash), copy_keys.of_trace(name_hash & 2**32 - 1)
    alike = copy_keys.of_likeness(minute, name_hash >> 28)
    link = copy_keys.of_links(name_hash & 2**32 - 1)
    assert (same >> 62, trace >> 62, alike >> 63, link >> 63) == (2, 3, 0, 0)
    assert copy_keys.minute_of(link) == 2**27 - 1 or minute == 2**27 - 1
    assert alike != link or minute == 2**27 - 1
    assert (copy_keys.minute_of(alike), copy_keys.likeness_of(alike)) == (minute, name_hash >> 28)


def test_the_views_write_these_keys(store: Store, data_dir: Path, tenant: str) -> None:
    store.command(
        """
        INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, Duration, SpanAttributes, Tenant)
        SELECT toDateTime64('2026-11-01 10:00:30', 9), concat({tenant:String}, '-t'), 'a', 'chat', 'shop', 1000000,
            map('gen_ai.operation.name', 'chat', 'gen_ai.request.model', 'm', 'gen_ai.response.id', 'r-1',
                'gen_ai.usage.input_tokens', '5', 'gen_ai.usage.output_tokens', '7'), {tenant:String}
        """,
        {"tenant": tenant},
    )
    Ledger(store, Settings(data_dir=data_dir)).settler.settle_now()
    trace, same, likeness = store.query(
        "SELECT bitAnd(cityHash64(concat({tenant:String}, '-t')), 0xffffffff), cityHash64('response', 'r-1'), "
        "(SELECT max(likeness) FROM genai_spans WHERE tenant = {tenant:String})",
        {"tenant": tenant},
    )[0]
    written = store.query(
        "SELECT key FROM call_keys FINAL WHERE tenant = {tenant:String} ORDER BY key", {"tenant": tenant}
    )
    minute = 1_793_527_200 // 60
    expected = [copy_keys.of_trace(trace), copy_keys.of_same(same)]
    expected += [copy_keys.of_likeness(minute, likeness)] if likeness else []
    assert [key for (key,) in written] == sorted(expected)


def test_the_files_say_the_same_sql() -> None:
    view = next(one.statement for one in migrate.files("views") if one.name == "call_keys_mv")
    spans = next(one.statement for one in migrate.files("migrations") if one.name == "0010_genai_spans")
    assert copy_keys.SQL_OF_TRACE.format(hash="this") in view
    assert copy_keys.SQL_OF_LIKENESS.format(minute="intDiv(at_ms, 60000)", likeness="s.likeness") in view
    assert copy_keys.SQL_OF_SAME.format(hash="k") in spans


def test_python_hashes_as_the_engine_does(store: Store, tenant: str) -> None:
    letters = "aZ9-/ \0\n\u00e9\u4e2d\U0001f600"
    rng = random.Random(1)
    texts = ["".join(rng.choices(letters, k=length)) for length in (*range(140), 255, 256, 257, 4000)]
    numbers = [rng.randrange(-(2**63), 2**63) for _ in texts]
    numbers[:4] = [0, -1, 2**63 - 1, -(2**63)]
    columns = "arrayJoin(arrayZip({texts:Array(String)}, {numbers:Array(Int64)})) AS row, row.1 AS t, row.2 AS n"
    table = store.arrow(
        f"""
        SELECT t, n, cityHash64(t) AS one, cityHash64(toNullable(n)) AS number,
            cityHash64('of', t::LowCardinality(String), n, t) AS several
        FROM (SELECT {columns})
        """,
        {"texts": texts, "numbers": numbers},
    )
    whole = table["n"].to_numpy()
    words = table["t"].combine_chunks().dictionary_encode()
    assert city_hash(table["t"]).tolist() == table["one"].to_pylist()
    assert city_hash(whole).tolist() == table["number"].to_pylist()
    assert city_hash("of", words, whole, table["t"]).tolist() == table["several"].to_pylist()
    assert city_hash(table["t"].slice(70, 20)).tolist() == table["one"].to_pylist()[70:90]


def test_keys_of_spans_at_hand_are_those_that_the_table_computes(store: Store, tenant: str) -> None:
    rng = random.Random(2)
    store.insert("genai_spans", list(_ROW), [_row(rng, tenant, number) for number in range(3_000)])
    table = store.arrow(
        f"SELECT {spans.COLUMNS}, same_keys, likeness, {_MINUTE} AS minute FROM genai_spans "
        "WHERE tenant = {tenant:String} ORDER BY span_id",
        {"tenant": tenant},
    )
    expected = [
        sorted([*same, *([copy_keys.of_likeness(minute, likeness)] if likeness else [])])
        for same, likeness, minute in zip(*(table[name].to_pylist() for name in _COMPUTED), strict=True)
    ]
    keys = copy_keys.keys_of(table)
    found: list[list[int]] = [[] for _ in expected]
    for row, key in zip(keys.row.tolist(), keys.key.tolist(), strict=True):
        found[row].append(key)
    assert [sorted(one) for one in found] == expected
    assert keys.is_likeness.tolist() == [not copy_keys.is_sure(key) for key in keys.key.tolist()]
    assert copy_keys.of_traces(pa.array(["a", "b" * 32])).tolist() == [
        number
        for (number,) in store.query(
            "SELECT bitAnd(cityHash64(arrayJoin(['a', {long:String}])), 0xffffffff)", {"long": "b" * 32}
        )
    ]


def test_copies_are_looked_for_in_the_minutes_beside_their_own() -> None:
    keys = copy_keys.Keys(
        np.array([0, 1]),
        np.array([copy_keys.of_likeness(100, 7), copy_keys.of_same(2**40)], np.uint64),
        np.array([True, False]),
    )
    assert sorted(keys.looked_for().key.tolist()) == sorted(
        [*(copy_keys.of_likeness(minute, 7) for minute in (99, 100, 101)), copy_keys.of_same(2**40)]
    )


_MINUTE = "toUInt64(greatest(toUnixTimestamp64Milli(started_at), 60000)) DIV 60000"
_COMPUTED = ("same_keys", "likeness", "minute")
_WORDS: dict[str, tuple[Any, ...]] = {
    "parent_span_id": ("", "p"),
    "duration_ns": (0, 1, 59_999_999_999, 7_200_000_000_000),
    "service": ("shop", "\u00e9" * 20, ""),
    "scope": ("logfire", "logfire.openai", "app"),
    "role": ("inference", "embedding", "rerank", "tool", ""),
    "request_model": ("", "m"),
    "response_id": ("", "r-1", "r" * 100),
    "finish_reason": ("", "stop"),
    "status": ("ok", "error", "unset"),
    "conversation_id": ("", "c"),
    "message_id": ("", "", "m-1"),
    "input_tokens": (None, None, 0, 5),
    "output_tokens": (None, None, 0, 7),
}
_ROW = ("tenant", "trace_id", "span_id", "version", "started_at", "received_at", *_WORDS)


def _row(rng: random.Random, tenant: str, number: int) -> list[Any]:
    """A span in canonical columns, of any time that the column can hold."""
    second = rng.choice([0, 59, 60, 61, 1_793_527_199, 1_793_527_230, -5, -65, rng.randrange(2_000_000_000)])
    started = datetime.fromtimestamp(second, UTC) + timedelta(microseconds=rng.choice([0, 1, 999_999]))
    words = [rng.choice(choices) for choices in _WORDS.values()]
    return [tenant, "t", f"{number:06}", 1, started, datetime.fromtimestamp(0, UTC), *words]
