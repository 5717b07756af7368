"""Foreign text on its way to a terminal or a spreadsheet: it stays text there."""

import re
from typing import Any, TextIO

# Everything that moves a cursor, names a window, hides or reverses text; colours stay, they are our own.
_CODES = re.compile(
    r"\x1b\[[0-9;]{0,20}m"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_CSV_CELL = re.compile(rb'(?m)(^|,)"(?= *[=+\-@\t\r\n])')


def whole(text: str) -> str:
    """The text with U+FFFD for half a surrogate pair."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def printable(text: str) -> str:
    """The text with control characters and half surrogate pairs spelled out, as `\\x1b`."""
    return _CODES.sub(_spelled, text)


def _spelled(found: "re.Match[str]") -> str:
    if len(found[0]) > 1:
        return found[0]
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def harmless(value: Any) -> Any:
    """Texts that a spreadsheet would calculate get an apostrophe in front; a number is nothing to calculate."""
    if not isinstance(value, str) or not value.lstrip(" ").startswith(_FORMULAS) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def harmless_csv(answer: bytes) -> bytes:
    """The same for CSV in which all texts, and only they, are quoted, with quotes doubled inside."""
    return _CSV_CELL.sub(rb"""\1"'""", answer)


class Terminal:
    """A text stream that writes `printable` text. All else is that of the stream below."""

    def __init__(self, below: TextIO) -> None:
        self.below = below

    def write(self, text: str) -> int:
        self.below.write(printable(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)
