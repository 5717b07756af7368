"""What the audit trail keeps of a statement where content is not captured."""

import pytest

from spanledger.errors import StoreError
from spanledger.stats.sandbox.shape import Shapes
from spanledger.store.client import Store


@pytest.mark.parametrize(
    ("query", "shape"),
    [
        ("SELECT count() FROM messages", "SELECT count() FROM messages"),
        ("select user_id from messages where user_id = 'ann smith'", "select user_id from messages where user_id = ?"),
        ("SELECT 1, -- of ann\n 2 /* of bob */ AS anns_cost", "SELECT ?.. AS ?"),
        ('SELECT `model`, "ann smith" FROM ledger', "SELECT `model`, `?` FROM ledger"),
        ("SELECT $$ann$$, $t$bob$t$, x'616e6e'", "SELECT ?.."),
        ("SELECT “ann”", "SELECT “?”"),
        ("who is ann?", "? is ??"),
        ("SELECT model FROM ledger WHERE user_id = 'ann", "SELECT model FROM ledger WHERE user_id ="),
        ("'ann", "?"),
        ("SELECT\x00 ann", "SELECT"),
        ("SELECT attributes['note'] FROM ledger", "SELECT attributes[?] FROM ledger"),
        ("DROP TABLE messages", "DROP TABLE messages"),
    ],
)
def test_no_word_of_its_author_is_left(store: Store, query: str, shape: str) -> None:
    assert Shapes(store).of(query) == shape


def test_an_engine_that_says_nothing_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr(store, "query", fail)
    assert Shapes(store).of("SELECT 'ann'") == "?"
