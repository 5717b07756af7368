"""The elements of a JSON array that is too large to be read whole."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from spanledger.foreign import json_text

CHUNK = 1 << 20
MAX_ELEMENT = 32 << 20  # characters
_SPACE = " \t\r\n"


class Readable(Protocol):
    def read(self, size: int = -1) -> bytes: ...


class NotAnArray(ValueError):
    """Says what is wrong, and where."""


@dataclass(frozen=True)
class Broken:
    """In place of an element that is no JSON."""

    why: str


def elements(file: Readable) -> Iterator[Any]:
    """Each element as soon as it is there; objects without an array around them, one after the other, are such, too.

    Raises NotAnArray where the text is neither, or ends too early.
    """
    text = _Text(file)
    if text.next_character() == "{":
        yield from _objects(text)
        return
    if text.next_character() != "[":
        raise NotAnArray("it does not begin with [")
    text.skip(1)
    number = 0
    while (mark := text.next_character()) != "]":
        if number and mark != ",":
            raise NotAnArray(
                f"after element {number} there is {mark[:1]!r} where , or ] should be" if mark else _cut(number)
            )
        if number:
            text.skip(1)
        number += 1
        yield text.element(number)


def _objects(text: "_Text") -> Iterator[Any]:
    number = 0
    while (mark := text.next_character()) == "{":
        number += 1
        yield text.element(number)
    if mark:
        raise NotAnArray(f"after object {number} there is {mark!r}")


def _cut(number: int) -> str:
    return f"it ends within or after element {number}: the file is not complete"


class _Text:
    def __init__(self, file: Readable) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._decoder = json_text.decoder()
        self._text = ""
        self._at = 0
        self._ended = False

    def next_character(self) -> str:
        """The next one that is no space, '' at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more(CHUNK)

    def skip(self, count: int) -> None:
        self._at += count

    def element(self, number: int) -> Any:
        self.next_character()
        wanted = CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                # A number at the end of what was read may go on.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            except (ValueError, RecursionError):
                if (found := self._bracketed()) is not None:
                    return found
            if self._ended:
                raise NotAnArray(_cut(number))
            if len(self._text) - self._at > MAX_ELEMENT:
                raise NotAnArray(f"element {number} is not JSON, or longer than {MAX_ELEMENT >> 20} million characters")
            self._more(wanted)
            wanted = min(wanted * 2, 16 << 20)  # or a long element would be parsed from its start again and again

    def _bracketed(self) -> Any:
        """An element that is odd, by its brackets: nested too deeply, or no JSON. None where it has not ended yet."""
        if self._text[self._at : self._at + 1] not in ("[", "{"):
            return None
        found = json_text.shallow(self._text, self._at)
        if found is None:
            return None
        self._at = found[1]
        try:
            return self._decoder.decode(found[0])
        except ValueError as exc:
            return Broken(str(exc))

    def _more(self, size: int) -> None:
        raw = self._file.read(size)
        self._ended = len(raw) == 0
        self._text = self._text[self._at :] + self._decode.decode(raw, final=self._ended)
        self._at = 0
