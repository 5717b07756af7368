"""Rows as files: JSON lines, CSV and Parquet, written page by page as they come."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from spanledger.foreign.texts import harmless
from spanledger.stats.usage import decimal_text

Format = Literal["jsonl", "csv", "parquet"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv", "parquet")
MEDIA_TYPES: Mapping[str, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_ARROW = {
    "text": pa.string(),
    "int": pa.int64(),
    "money": pa.decimal128(38, 15),
    "float": pa.float64(),
    "list": pa.list_(pa.string()),
}
_ZERO = Decimal(0).scaleb(-15)

Rows = Sequence[Mapping[str, Any]]
Columns = Mapping[str, str]  # name → text, int, money, float or list
End = Mapping[str, Any]


def encoded(form: Format, columns: Columns, pages: Iterable[Rows], end: "Ending") -> Iterator[bytes]:
    """The file in pieces. What `end` says when all pages are through stands at its end: JSON lines `{"end": …}`, a CSV
    line that begins with `#`, or metadata of the Parquet file."""
    writers = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}
    return writers[form](columns, pages, end)


class Ending:
    """The last line of an export: its rows, whether it is complete, and otherwise the cursor to continue at."""

    def __init__(self) -> None:
        self.rows = 0
        self.next_cursor: str | None = None

    def summary(self) -> dict[str, Any]:
        return {"rows": self.rows, "complete": self.next_cursor is None, "next_cursor": self.next_cursor}


def _jsonl(columns: Columns, pages: Iterable[Rows], end: Ending) -> Iterator[bytes]:
    for rows in pages:
        lines = (
            json.dumps({name: _plain(row.get(name), kind) for name, kind in columns.items()}, ensure_ascii=False)
            for row in rows
        )
        yield "".join(line + "\n" for line in lines).encode(errors="replace")
    yield (json.dumps({"end": end.summary()}) + "\n").encode()


def _plain(value: Any, kind: str) -> Any:
    return decimal_text(value) if kind == "money" and value is not None else value


def _csv(columns: Columns, pages: Iterable[Rows], end: Ending) -> Iterator[bytes]:
    yield _lines([list(columns)])
    for rows in pages:
        yield _lines([[_cell(row.get(name), kind) for name, kind in columns.items()] for row in rows])
    summary = end.summary()
    more = "complete" if summary["complete"] else f"next_cursor={summary['next_cursor']}"
    yield f"# {summary['rows']} rows, {more}\r\n".encode()


def _lines(rows: list[list[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(errors="replace")


def _cell(value: Any, kind: str) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if kind == "money":
        return decimal_text(value)
    return harmless("; ".join(value) if kind == "list" else value)


def _parquet(columns: Columns, pages: Iterable[Rows], end: Ending) -> Iterator[bytes]:
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
    out = _Pieces()
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for rows in pages:
            arrays = [pa.array([_typed(row.get(n), k) for row in rows], _ARROW[k]) for n, k in columns.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield out.take()
        writer.add_key_value_metadata({"spanledger.end": json.dumps(end.summary())})
    yield out.take()


def _typed(value: Any, kind: str) -> Any:
    return value.quantize(_ZERO) if kind == "money" and value is not None else value


class _Pieces(io.RawIOBase):
    """A file that is taken away piece by piece while it is written."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
