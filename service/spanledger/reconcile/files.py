"""The text of an export's file: plain, or packed as gzip or zip."""

import gzip
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from spanledger.errors import BadRequest, TooLarge

MAX_BYTES = 256 * 2**20
_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")


def text_of(path: Path) -> str:
    """Raises BadRequest, which says what is wrong with the file."""
    try:
        with path.open("rb") as file:
            raw = _unpacked(file, path)
    except (gzip.BadGzipFile, zlib.error, EOFError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as exc:
        raise BadRequest(f"{path.name} cannot be unpacked: {exc}") from exc
    except OSError as exc:
        raise BadRequest(f"cannot read {path}: {exc.strerror or exc}") from exc
    try:
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as exc:
        if b"\0" in raw:
            raise BadRequest(f"{path.name} is not text: expected a CSV or JSON export") from exc
        return raw.decode("utf-8-sig", "replace")


def _unpacked(file: BinaryIO, path: Path) -> bytes:
    mark = file.read(4)
    file.seek(0)
    if mark[:2] == b"\x1f\x8b":
        return _all(cast(BinaryIO, gzip.GzipFile(fileobj=file)), path)
    if mark != b"PK\x03\x04":
        return _all(file, path)
    with zipfile.ZipFile(file) as archive:
        names = [one for one in archive.namelist() if one.lower().endswith(_SUFFIXES) and "__MACOSX/" not in one]
        if len(names) != 1:
            raise BadRequest(f"{path.name} holds {len(names)} files of CSV or JSON, expected one: unpack it first")
        with archive.open(names[0]) as member:
            return _all(cast(BinaryIO, member), path)


def _all(file: BinaryIO, path: Path) -> bytes:
    raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"{path.name} is larger than {MAX_BYTES >> 20} MiB: export fewer days at a time")
    return raw
