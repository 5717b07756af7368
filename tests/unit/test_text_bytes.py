"""Settlement posts spans with long status messages, which the view cuts, and with invalid UTF-8 in any field."""

from pathlib import Path

import pytest

from spanledger.ledger.ledger import Ledger
from spanledger.settings import Settings
from spanledger.store.client import Store

INSERT = """
    INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, ScopeName, Duration, StatusCode,
        StatusMessage, SpanAttributes, Tenant)
    SELECT now64(9) - toIntervalMinute(1), concat({tenant:String}, '-', toString(number)), 'a', NAME, 'shop', SCOPE,
        1000000, 'Error', MESSAGE,
        map('gen_ai.operation.name', 'chat', 'gen_ai.provider.name', 'openai', 'gen_ai.request.model', MODEL,
            'gen_ai.usage.input_tokens', '100', 'gen_ai.usage.output_tokens', '7', KEY, VALUE),
        {tenant:String}
    FROM numbers(4)
"""
PLAIN = {"NAME": "'chat'", "SCOPE": "'acme'", "MESSAGE": "'no'", "MODEL": "'gpt-4o-mini'", "KEY": "'user.id'"}
PLAIN["VALUE"] = "'ada'"
BROKEN = "concat('a', unhex('CC'), 'b', unhex('FF'))"


def calls(store: Store, data_dir: Path, tenant: str, **parts: str) -> list[tuple[object, ...]]:
    """Inserts four raw spans, settles them, and returns calls, tokens and user of each trace."""
    statement = INSERT
    for name, value in (PLAIN | parts).items():
        statement = statement.replace(name, value)
    store.command(statement, {"tenant": tenant})
    Ledger(store, Settings(data_dir=data_dir)).settler.settle_now()
    return store.query(
        "SELECT sum(llm_calls), sum(input_tokens), sum(output_tokens), any(user_id) FROM ledger "
        "WHERE tenant = {tenant:String} AND kind = 'call' GROUP BY trace_id",
        {"tenant": tenant},
    )


@pytest.mark.parametrize("letter", ["я", "語", "😀"])
def test_the_view_cuts_a_long_message_between_characters(
    store: Store, data_dir: Path, tenant: str, letter: str
) -> None:
    message = f"concat(repeat('x', number), repeat('{letter}', 400))"
    assert calls(store, data_dir, tenant, MESSAGE=message) == [(1, 100, 7, "ada")] * 4


@pytest.mark.parametrize("part", ["NAME", "SCOPE", "MESSAGE", "KEY"])
def test_a_span_with_invalid_utf8_in_another_field_keeps_its_figures(
    store: Store, data_dir: Path, tenant: str, part: str
) -> None:
    user = "" if part == "KEY" else "ada"
    assert calls(store, data_dir, tenant, **{part: BROKEN}) == [(1, 100, 7, user)] * 4


@pytest.mark.parametrize("part", ["MODEL", "VALUE"])
def test_invalid_utf8_in_a_field_of_the_books_becomes_a_replacement_character(
    store: Store, data_dir: Path, tenant: str, part: str
) -> None:
    user = "a\ufffdb\ufffd" if part == "VALUE" else "ada"
    assert calls(store, data_dir, tenant, **{part: BROKEN}) == [(1, 100, 7, user)] * 4
