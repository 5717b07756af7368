"""The text of PDF and DOCX files. Runs in the worker process alone: both are compressed and may hold anything."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

MOST_PAGES = 2_000
MOST_PARTS = 5_000  # of a DOCX file, which is a ZIP archive
MOST_UNPACKED = 64 * 1024**2
MOST_CHARS = 4_000_000
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


class Unreadable(ValueError):
    """Says why."""


def text_of(kind: str, content: bytes) -> str:
    """Raises Unreadable."""
    try:
        return _joined(_pdf(content) if kind == PDF else _docx(content))
    except (Unreadable, MemoryError):
        raise
    except Exception as exc:
        raise Unreadable(f"the file is broken ({type(exc).__name__})") from exc


def _joined(parts: Iterator[str]) -> str:
    found, size = [], 0
    for part in parts:
        size += len(part)
        if size > MOST_CHARS:
            raise Unreadable(f"its text has more than {MOST_CHARS:,} characters")
        found.append(part)
    return "\n\n".join(part for part in found if part.strip()).replace("\x00", "")


def _pdf(content: bytes) -> Iterator[str]:
    import pypdf

    reader = pypdf.PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("the file needs a password")
    if len(reader.pages) > MOST_PAGES:
        raise Unreadable(f"it has {len(reader.pages):,} pages, and a document may have {MOST_PAGES:,}")
    for page in reader.pages:
        yield page.extract_text()


def _docx(content: bytes) -> Iterator[str]:
    import docx

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED:
            raise Unreadable("there is too much in it when it is unpacked")
    yield from _blocks(docx.Document(io.BytesIO(content)))


def _blocks(container: Any) -> Iterator[str]:
    """Paragraphs and tables in order; headings as in Markdown, where the text is cut later."""
    for block in container.iter_inner_content():
        if hasattr(block, "rows"):
            yield "\n".join(" | ".join(cell.text.strip() for cell in row.cells) for row in block.rows)
        else:
            style = str(getattr(block.style, "name", "") or "")
            level = style.removeprefix("Heading ") if style.startswith("Heading ") else ""
            yield f"{'#' * int(level)} {block.text}" if level.isdigit() else block.text
