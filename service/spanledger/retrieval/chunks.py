"""Cuts a text into passages of a bounded number of tokens, at the best places there are: headings, paragraphs, lines,
sentences, words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from spanledger.workflows import tokens

MAX_TOKENS = 256
OVERLAP_TOKENS = 32  # of the passage before, so that what stands across a cut is found too
_HEADING = re.compile(r"#{1,6} ")
_CUTS = (
    re.compile(r"(?<=\n)(?=#{1,6} )"),
    re.compile(r"(?<=\n\n)"),
    re.compile(r"(?<=\n)"),
    re.compile(r"(?<=[.!?] )"),
)
# Longer ones are cut: they are no words. The space stands last: before the word, matching it would be quadratic.
_WORDS = re.compile(r"\S{1,64}\s*")
_BLANKS = re.compile(r"(\s{64})\s+")  # more of it means nothing, and a tokenizer takes seconds for a megabyte


@dataclass(frozen=True, slots=True)
class Chunk:
    text: str
    tokens: int


def split(text: str, limit: int = MAX_TOKENS, overlap: int = OVERLAP_TOKENS) -> list[Chunk]:
    """The passages in order; none is empty or has more than `limit` tokens."""
    chunks: list[Chunk] = []
    pieces: list[Chunk] = []
    size = 0
    for piece in _pieces(_BLANKS.sub(r"\1", text.strip()), limit, 0):
        starts_section = bool(_HEADING.match(piece.text)) and size > limit // 2
        if pieces and (size + piece.tokens > limit or starts_section):
            chunks += _joined(pieces)
            pieces = [] if starts_section else _tail(pieces, min(overlap, limit - piece.tokens))
            size = sum(p.tokens for p in pieces)
        pieces.append(piece)
        size += piece.tokens
    return chunks + _joined(pieces)


def _pieces(text: str, limit: int, level: int) -> Iterator[Chunk]:
    """The text in parts of at most `limit` tokens, cut as coarsely as that allows."""
    count = tokens.count(text) if len(text) <= limit * 16 else limit + 1  # a text that long surely has more
    if count <= limit:
        yield Chunk(text, count)
    elif level < len(_CUTS):
        for part in _CUTS[level].split(text):
            if part:
                yield from _pieces(part, limit, level + 1)
    else:
        yield from _words(text, limit)


def _words(text: str, limit: int) -> Iterator[Chunk]:
    """Words, as many together as there is room for. Counting each alone counts a little too many."""
    held, size = "", 0
    for word in _WORDS.findall(text):
        count = tokens.count(word)
        if held and size + count > limit:
            yield Chunk(held, size)
            held, size = "", 0
        if count > limit:
            yield from _halves(word, limit)
            continue
        held, size = held + word, size + count
    if held:
        yield Chunk(held, size)


def _halves(text: str, limit: int) -> Iterator[Chunk]:
    count = tokens.count(text)
    if count <= limit or len(text) == 1:
        yield Chunk(text, count)
        return
    middle = len(text) // 2
    yield from _halves(text[:middle], limit)
    yield from _halves(text[middle:], limit)


def _tail(pieces: list[Chunk], room: int) -> list[Chunk]:
    """The last pieces that fit into `room`."""
    kept: list[Chunk] = []
    for piece in reversed(pieces):
        room -= piece.tokens
        if room < 0:
            break
        kept.insert(0, piece)
    return kept


def _joined(pieces: list[Chunk]) -> list[Chunk]:
    text = "".join(piece.text for piece in pieces).strip()
    return [Chunk(text, tokens.count(text))] if text else []
