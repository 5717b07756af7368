"""What may become a document."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from spanledger.errors import BadRequest, TooLarge
from spanledger.foreign.files import DOCX, PDF
from spanledger.foreign.process import FILE_S, Hopeless, file_pool

CONTENT_TYPES: Final = ("text/plain", "text/markdown")
FILE_TYPES: Final = (PDF, DOCX)
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_FILE_BYTES: Final = 8 * 1024 * 1024  # what any request may have
_BY_ENDING: Final = {".md": "text/markdown", ".markdown": "text/markdown", ".pdf": PDF, ".docx": DOCX}
MAX_NAME: Final = 256


_READABLE = ", ".join((*CONTENT_TYPES, *FILE_TYPES))


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
        raise UnusableDocument(f"{kind[:100] or 'no content type'!r} cannot be read; send {_READABLE}")
    size = len(content.encode()) if isinstance(content, str) else len(content)
    if size > MAX_BYTES:
        raise TooLarge(f"a document may have {MAX_BYTES:,} bytes; this one has {size:,}")
    text = content if isinstance(content, str) else _decoded(content)
    if "\x00" in text:
        raise UnusableDocument("the document is not text: it holds NUL characters")
    if not text.strip():
        raise UnusableDocument("the document is empty")
    return NewDocument(name.strip()[:MAX_NAME] or "untitled", kind, text, dict(metadata or {}))


def kind_of_name(name: str) -> str:
    """The content type by a file's ending, where its sender does not say."""
    return next((kind for ending, kind in _BY_ENDING.items() if name.lower().endswith(ending)), "text/plain")


async def document_of(content: bytes, name: str, content_type: str) -> NewDocument:
    """Of a text or a PDF or DOCX file, whose text is taken out of it. Raises as `new_document` does."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in FILE_TYPES:
        return new_document(content, name, kind)
    if len(content) > MAX_FILE_BYTES:
        raise TooLarge(f"a file may have {MAX_FILE_BYTES:,} bytes; this one has {len(content):,}")
    job = {"kind": "file", "type": kind, "content": base64.b64encode(content).decode()}
    try:
        answer = await file_pool.arun(job, FILE_S)
    except Hopeless as exc:
        raise UnusableDocument(f"the file cannot be read: {exc}") from exc
    if "text" not in answer:
        raise UnusableDocument(f"the file cannot be read: {answer.get('refused', 'it is broken')}")
    if not answer["text"].strip():
        raise UnusableDocument("there is no text in the file; pictures of text are not read")
    return replace(new_document(answer["text"], name), content_type=kind)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UnusableDocument(f"the document is not UTF-8 text (byte {exc.start:,})") from exc
