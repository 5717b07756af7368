"""JSON as other programs write it: one odd value does not make a document unreadable.

A bare NaN or Infinity is the number, more digits than Python reads are kept as text, control characters in a text are
part of it, and null stands for what is nested deeper than anything means.
"""

import json
import re
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 200  # brackets
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def decoder(parse_float: Callable[[str], Any] = float) -> json.JSONDecoder:
    return json.JSONDecoder(parse_float=parse_float, parse_constant=parse_float, parse_int=_whole_number, strict=False)


def loads(text: str, parse_float: Callable[[str], Any] = float, is_deep: bool = False) -> Any:
    """The document; what `is_deep` is cut even if it could be read. Raises ValueError for what is no JSON."""
    reader = decoder(parse_float)
    try:
        if not is_deep:
            return reader.decode(text)
    except RecursionError:
        pass
    start = len(text) - len(text.lstrip())
    found = shallow(text, start)
    if found is None or text[found[1] :].strip():
        raise ValueError("it is nested too deeply, or not closed")
    return reader.decode(found[0])


def shallow(text: str, at: int) -> tuple[str, int] | None:
    """The array or object that begins at `at`, with null in place of what is nested deeper than MAX_DEPTH, and where it
    ends; None where it does not end."""
    kept: list[str] = []
    depth, start = 0, at
    for token in _TOKEN.finditer(text, at):
        if token[0] in ("[", "{"):
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += (text[start : token.start()], "null")
        elif token[0] in ("]", "}"):
            if depth == MAX_DEPTH + 1:
                start = token.end()
            depth -= 1
            if depth <= 0:
                return "".join(kept) + text[start : token.end()], token.end()
    return None


def _whole_number(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits
