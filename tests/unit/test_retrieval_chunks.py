"""Passages: bounded, complete, and found in linear time whatever the text."""

import pytest

from spanledger.retrieval.chunks import MAX_TOKENS, split


@pytest.mark.parametrize(
    "text",
    [" " * 1_000_000 + "end", "a" * 100_000, "word " * 50_000, ("x" * 30 + " " * 500) * 500, "\n" * 50_000 + "end"],
    ids=["blanks", "one word", "words", "words far apart", "lines"],
)
def test_a_text_of_a_megabyte_of_anything_is_cut_into_bounded_passages(text: str) -> None:
    """Expressions that try a run of blanks from each of its places would take hours here."""
    chunks = split(text)
    assert chunks
    assert all(0 < chunk.tokens <= MAX_TOKENS and chunk.text.strip() for chunk in chunks)
    assert text.split()[-1] in chunks[-1].text or len(text.split()[-1]) > len(chunks[-1].text)
