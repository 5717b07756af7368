"""Checks of what callers send, shared by the chat routes."""

from typing import Annotated

from pydantic import AfterValidator, Field

MAX_ID_CHARS = 256
MAX_MODEL_CHARS = 256
MAX_FALLBACKS = 5


def unicode_text(text: str) -> str:
    """JSON can spell halves of characters (`\\ud800`), which no encoding, database or provider takes."""
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError("is not valid Unicode: it holds a lone surrogate") from exc
    return text


Text = Annotated[str, AfterValidator(unicode_text)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS), AfterValidator(unicode_text)]
Model = Annotated[str, Field(min_length=1, max_length=MAX_MODEL_CHARS), AfterValidator(unicode_text)]
Fallbacks = Annotated[list[Model], Field(max_length=MAX_FALLBACKS)]
