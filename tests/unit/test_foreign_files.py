"""Text of PDF and DOCX files, taken out in a process that may be killed; what cannot be read says why."""

import asyncio
import io
import zipfile
import zlib

import docx
import pypdf
import pytest

from spanledger.errors import TooLarge
from spanledger.foreign import files
from spanledger.foreign.files import DOCX, PDF
from spanledger.retrieval import text
from spanledger.retrieval.text import NewDocument, UnusableDocument, document_of, kind_of_name


def pdf(*pages: str, packed: bytes | None = None) -> bytes:
    """A PDF file of one line of text a page; `packed`: the compressed content of its pages instead."""
    count = len(pages)
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(count))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Count {count}/Kids[{kids}]>>".encode()]
    font = "<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
    for number, line in enumerate(pages):
        stream = packed or zlib.compress(f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET".encode())
        page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources{font}/Contents {4 + 2 * number} 0 R>>"
        head = f"<</Length {len(stream)}/Filter/FlateDecode>>stream\n".encode()
        objects += [page.encode(), head + stream + b"\nendstream"]
    body, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    size, start = len(objects) + 1, len(body)
    body += f"xref\n0 {size}\n0000000000 65535 f \n".encode() + table
    return body + f"trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode()


def word_file() -> bytes:
    made = docx.Document()
    made.add_heading("Cats", 1)
    made.add_paragraph("A cat purrs when it is content.")
    table = made.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "weight", "4 kg"
    made.add_paragraph("The end.")
    written = io.BytesIO()
    made.save(written)
    return written.getvalue()


def read(content: bytes, kind: str) -> NewDocument:
    return asyncio.run(document_of(content, "file", kind))


def test_the_text_of_a_pdf_file() -> None:
    found = read(pdf("A cat purrs.", "The second page."), PDF)
    assert (found.text.split("\n\n"), found.content_type) == (["A cat purrs.", "The second page."], PDF)


def test_the_text_of_a_docx_file_with_its_headings_and_tables() -> None:
    found = read(word_file(), DOCX)
    parts = ["# Cats", "A cat purrs when it is content.", "weight | 4 kg", "The end."]
    assert (found.text.split("\n\n"), found.content_type) == (parts, DOCX)


def encrypted() -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(pdf("secret")))
    writer.encrypt("password", algorithm="RC4-128")
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def bomb() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"word/{number}.xml", bytes(4_000_000))
    return written.getvalue()


BAD = {
    "no PDF at all": (b"hello", PDF, "broken"),
    "a PDF that is cut off": (pdf("x")[:60], PDF, "cannot be read"),
    "a PDF without text": (pdf(""), PDF, "no text in the file"),
    "a PDF with a password": (encrypted(), PDF, "password"),
    "no DOCX at all": (b"PK\x03\x04junk", DOCX, "broken"),
    "a DOCX that unpacks to too much": (bomb(), DOCX, "unpacked"),
    "an image": (b"\x89PNG", "image/png", "application/pdf"),
}


@pytest.mark.parametrize(("content", "kind", "reason"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_says_why(content: bytes, kind: str, reason: str) -> None:
    with pytest.raises(UnusableDocument, match=reason):
        read(content, kind)


def test_pages_are_bounded() -> None:
    with pytest.raises(files.Unreadable, match="2,001 pages"):
        files.text_of(PDF, pdf(*["x"] * 2_001))


def test_a_page_that_takes_too_long_ends_with_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Megabytes of drawing commands in some kilobytes."""
    slow = pdf("x", packed=zlib.compress(b"BT /F1 1 Tf (a) Tj ET\n" * 2_000_000, 9))
    assert len(slow) < 500_000
    with monkeypatch.context() as impatient:
        impatient.setattr(text, "FILE_S", 1.0)
        with pytest.raises(UnusableDocument, match="too long or too much memory"):
            read(slow, PDF)
    assert read(pdf("after it"), PDF).text == "after it"


def test_a_file_that_is_too_large_is_not_read() -> None:
    with pytest.raises(TooLarge):
        read(bytes(text.MAX_FILE_BYTES + 1), PDF)


@pytest.mark.parametrize(
    ("name", "kind"), [("A.PDF", PDF), ("b.docx", DOCX), ("c.md", "text/markdown"), ("d.csv", "text/plain")]
)
def test_a_files_ending_tells_its_type_where_nobody_says(name: str, kind: str) -> None:
    assert kind_of_name(name) == kind
