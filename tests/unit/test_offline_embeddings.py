"""The offline embedding model: deterministic, and near where words are shared; the tokenizer that bills it."""

import pytest

from spanledger.workflows import tokens
from spanledger.workflows.offline_answers import vector


def nearness(a: str, b: str) -> float:
    """Cosine similarity: the vectors have length 1."""
    return sum(x * y for x, y in zip(vector(a, 64), vector(b, 64), strict=True))


def test_the_same_text_has_the_same_vector() -> None:
    assert vector("the tide follows the moon", 64) == vector("the tide follows the moon", 64)
    assert nearness("Tide, moon!", "tide moon") == pytest.approx(1)


def test_texts_that_share_words_are_near_each_other() -> None:
    question = "when does the tide follow the moon?"

    assert nearness(question, "the tide follows the moon") > nearness(question, "debits and credits are posted twice")


@pytest.mark.parametrize("text", ["", " ", "?!", "🦄", "\ud800", "x" * 100_000])
def test_every_text_has_a_direction(text: str) -> None:
    assert sum(v * v for v in vector(text, 64)) == pytest.approx(1)


def test_a_million_blanks_are_counted() -> None:
    """At once they overflow the stack of the tokenizer's regular expression."""
    assert 0 < tokens.count(" " * 1_000_000 + "x") < 1_000_000
    assert tokens.count("") == 0


def test_long_texts_are_counted_as_short_ones_are() -> None:
    sentence = "The ledger keeps every entry. "
    assert abs(tokens.count(sentence * 20_000) - 20 * tokens.count(sentence * 1_000)) <= 25
