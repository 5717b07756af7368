"""A data export: a zip with files of conversations, or one of these files by itself."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from spanledger.errors import BadRequest
from spanledger.foreign import json_text
from spanledger.imports.counted import Counted, OnRead, ignore
from spanledger.imports.history import Problem
from spanledger.imports.json_array import NotAnArray, elements

MAX_SMALL_FILE = 1 << 20
MAX_UNPACKED = 8 << 30
MAX_RATIO = 100  # of unpacked to packed bytes, beyond
FREE_BYTES = 64 << 20  # where small files are packed well
Found = tuple[str, Any, Any]  # where it stands, what it is, and what the file beside it says, or None


def size(path: Path) -> int:
    """Bytes that `conversations` goes through; of a zip, unpacked."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return sum(one.file_size for one in archive.infolist() if _holds_conversations(one.filename))
        return path.stat().st_size
    except (OSError, zipfile.BadZipFile):
        return 0  # `conversations` says what is wrong


def conversations(path: Path, whose: str, beside: str = "", on_read: OnRead = ignore) -> Iterator[Problem | Found]:
    """Every element of the files, and what the file `beside` them says. `whose`: the export, for messages.

    Raises BadRequest for a file that is no export.
    """
    for name, file, small in _files(path, whose, beside):
        try:
            for number, element in enumerate(elements(Counted(file, on_read)), 1):
                for where, one in _unwrapped(f"{name}, conversation {number}", element):
                    yield where, one, small
        except NotAnArray as exc:
            yield Problem(name, f"is not a list of conversations: {exc}")
        except (OSError, zipfile.BadZipFile, EOFError) as exc:
            yield Problem(name, f"cannot be read to its end: {exc}")


def _files(path: Path, whose: str, beside: str) -> Iterator[tuple[str, BinaryIO, Any]]:
    """Name and content of each file with conversations, and what the file beside it says."""
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                if file.read(2) == b"PK":
                    raise BadRequest(f"{path} is a broken zip; download the export again")
                file.seek(0)
                yield path.name, file, None
                return
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                names = sorted(n for n in archive.namelist() if _holds_conversations(n))
                if not names:
                    raise BadRequest(f"{path} has no conversations.json; is it {whose} data export?")
                _refuse_bomb(path, archive, names)
                for name in names:
                    small = _small_file(archive, name, beside)
                    with _member(archive, name) as member:
                        yield name, member, small
    except OSError as exc:
        raise BadRequest(f"{path} cannot be read: {exc.strerror}") from exc
    except zipfile.BadZipFile as exc:
        raise BadRequest(f"{path} is a broken zip: {exc}") from exc


def _refuse_bomb(path: Path, archive: zipfile.ZipFile, names: list[str]) -> None:
    unpacked = sum(archive.getinfo(name).file_size for name in names)
    packed = path.stat().st_size  # members may share their bytes, so theirs say too much
    if unpacked > MAX_UNPACKED or unpacked > max(FREE_BYTES, MAX_RATIO * packed):
        raise BadRequest(f"{path} would unpack to {unpacked:,} bytes, from {packed:,}; no export is like that")


def _holds_conversations(name: str) -> bool:
    last = name.rsplit("/", 1)[-1]
    return last.startswith("conversations") and last.endswith(".json")


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[BinaryIO]:
    try:
        with archive.open(name) as member:
            yield cast(BinaryIO, member)
    except (RuntimeError, NotImplementedError) as exc:  # encrypted, or packed in a way that Python does not know
        raise BadRequest(f"{name} in the zip cannot be read: {exc}") from exc


def _small_file(archive: zipfile.ZipFile, conversations: str, name: str) -> Any:
    """What a small JSON file says that stands beside the conversations; None where it is not there or unreadable."""
    folder = conversations[: conversations.rfind("/") + 1]
    try:
        with archive.open(f"{folder}{name}") as file:
            return json_text.loads(file.read(MAX_SMALL_FILE).decode("utf-8-sig", "replace"))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile):
        return None


def _unwrapped(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The conversations of an object around their list, as the web's own API answers; else the value itself."""
    inner = value.get("conversations", value.get("items")) if isinstance(value, dict) else None
    if isinstance(inner, list):
        yield from ((f"{where}.{number}", one) for number, one in enumerate(inner, 1))
    else:
        yield where, value
