"""What may become a document."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from spanledger.errors import BadRequest, TooLarge

CONTENT_TYPES: Final = ("text/plain", "text/markdown")
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_NAME: Final = 256


class UnusableDocument(BadRequest):
    title = "Unusable document"
    status = 422
    error_type = "unusable_document"


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A text and what it is called. Made by `new_document`, which checks it."""

    name: str
    content_type: str
    text: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def new_document(
    content: bytes | str, name: str = "", content_type: str = "text/plain", metadata: Mapping[str, str] | None = None
) -> NewDocument:
    """Raises UnusableDocument for what is no text or has none, TooLarge."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/x-markdown":
        kind = "text/markdown"
    if kind not in CONTENT_TYPES:
        raise UnusableDocument(f"{kind[:100] or 'no content type'!r} cannot be read; send {' or '.join(CONTENT_TYPES)}")
    size = len(content.encode()) if isinstance(content, str) else len(content)
    if size > MAX_BYTES:
        raise TooLarge(f"a document may have {MAX_BYTES:,} bytes; this one has {size:,}")
    text = content if isinstance(content, str) else _decoded(content)
    if "\x00" in text:
        raise UnusableDocument("the document is not text: it holds NUL characters")
    if not text.strip():
        raise UnusableDocument("the document is empty")
    return NewDocument(name.strip()[:MAX_NAME] or "untitled", kind, text, dict(metadata or {}))


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UnusableDocument(f"the document is not UTF-8 text (byte {exc.start:,})") from exc
