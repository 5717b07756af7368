"""The one client: what it promises beyond the library below it."""

import threading

import pytest

from spanledger.errors import StoreError, TookTooLong
from spanledger.store.client import Store

FAILS_AFTER_ROWS = "SELECT throwIf(number = 500, 'boom') FROM numbers(1000) SETTINGS max_block_size = 10"


def test_rows_of_a_failed_query_do_not_reach_the_next_answer(store: Store) -> None:
    for call in (store.query, store.arrow, store.command):
        with pytest.raises(StoreError, match="boom"):
            call(FAILS_AFTER_ROWS)
        assert store.query("SELECT 7") == [(7,)]


def test_raw_answer_after_a_failed_raw_query_is_clean(store: Store) -> None:
    with pytest.raises(StoreError, match="boom"):
        store.raw(FAILS_AFTER_ROWS, "TSV")
    assert store.raw("SELECT 7", "TSV") == b"7\n"


def test_settings_of_one_query_do_not_stay_for_the_next(store: Store) -> None:
    store.query("SELECT 1", settings={"max_result_rows": 1})
    assert len(store.query("SELECT number FROM numbers(5)")) == 5


def test_limited_store_keeps_its_settings_and_leaves_the_original_alone(store: Store) -> None:
    limited = store.limited({"max_result_rows": 2, "result_overflow_mode": "throw", "readonly": 1})
    with pytest.raises(StoreError, match="Limit for result"):
        limited.query("SELECT number FROM numbers(5)")
    with pytest.raises(StoreError, match="readonly"):
        limited.query("SELECT 1 SETTINGS max_result_rows = 10")
    assert len(store.query("SELECT number FROM numbers(5)")) == 5
    limited.close()


def test_a_question_beside_others_never_waits_for_theirs(store: Store) -> None:
    may_end = threading.Event()
    long_ones = [store.soon(lambda: may_end.wait(60)) for _ in range(4)]
    try:
        assert store.soon(lambda: store.query("SELECT 7")).result() == [(7,)]
        with pytest.raises(StoreError, match="boom"):
            store.soon(lambda: store.query(FAILS_AFTER_ROWS)).result()
    finally:
        may_end.set()
    assert [one.result() for one in long_ones] == [True] * 4
    assert store.soon(lambda: threading.current_thread().name).result().startswith("store-beside")


def test_a_statement_ends_when_its_store_allows_no_more_time(store: Store) -> None:
    limited = store.limited({"max_execution_time": 0.5})
    with pytest.raises(TookTooLong, match=r"longer than 0\.5 s; ask for a shorter window"):
        limited.query("SELECT max(sipHash64(number)) FROM numbers(1000000000000)")
    assert limited.query("SELECT 7") == [(7,)]
    limited.close()
