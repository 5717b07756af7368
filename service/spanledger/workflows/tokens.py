"""Counts tokens with a real tokenizer, without the network: its vocabulary comes inside the litellm package.

Used by the offline provider for its bill, and by us where a provider never says what it used.
"""

import functools
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_ENCODING = "o200k_base"
_SLICE = 20_000
_LONG = 2_000  # characters; the same long text is counted at each step of a run and in each turn after it
_MANY = 8_192  # long texts whose counts are remembered
# OpenAI's chat format: what each message, and the answer's opening, costs beside its text.
_PER_MESSAGE = 3
_OPENING = 3
_PER_IMAGE = 85


@functools.cache
def _encoding() -> Any:
    spec = importlib.util.find_spec("litellm")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(bundled))  # as litellm itself does
    import tiktoken

    return tiktoken.get_encoding(_ENCODING)


def load() -> None:
    """Loads the tokenizer now (0.3 s) rather than at the first count."""
    _encoding()


def count(text: str) -> int:
    """Tokens of a text. Special tokens in it are counted as the plain text they are.

    A long text is counted in slices, each cut adding one token at most: the tokenizer's regular expression overflows
    its stack on a million spaces.
    """
    if len(text) < _LONG:
        return len(_encoding().encode_ordinary(text))
    key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    known = _counts.get(key)
    if known is None:
        known = _count(text)
        if len(_counts) >= _MANY:
            _counts.clear()
        _counts[key] = known
    return known


_counts: dict[bytes, int] = {}


def _count(text: str) -> int:
    encode = _encoding().encode_ordinary
    return sum(len(encode(text[start : start + _SLICE])) for start in range(0, len(text), _SLICE))


def count_message(message: Mapping[str, Any]) -> int:
    """Tokens of one chat message, its framing included."""
    total = _PER_MESSAGE + count(str(message.get("role", "")))
    content = message.get("content")
    if isinstance(content, str):
        total += count(content)
    elif isinstance(content, list):
        total += sum(_count_part(part) for part in content)
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        total += _PER_MESSAGE + count(str(function.get("name") or "")) + count(str(function.get("arguments") or ""))
    return total


def count_prompt(messages: Iterable[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None) -> int:
    """Input tokens of a request."""
    total = _OPENING + sum(count_message(message) for message in messages)
    return total + (count(json.dumps(tools, separators=(",", ":"))) if tools else 0)


def _count_part(part: Any) -> int:
    if isinstance(part, str):
        return count(part)
    if not isinstance(part, Mapping):
        return 0
    if isinstance(part.get("text"), str):
        return count(part["text"])
    return _PER_IMAGE if part.get("type") in {"image_url", "input_image"} else 0
