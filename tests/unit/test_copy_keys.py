"""The layout of copy keys is said in Python and in SQL: both agree, with each other and with what the views write."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from spanledger.books import copy_keys
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
    assert (same >> 62, trace >> 62, alike >> 63) == (2, 3, 0)
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
