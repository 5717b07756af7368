"""Looks for bytes in every file of a data folder, inside of ClickHouse's compressed blocks too."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import lz4.block
import zstandard

_CHECKSUM, _HEADER = 16, 9  # of a compressed block: a hash; then method, compressed and plain size
_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90


def files_with(folder: Path, *words: str) -> dict[str, set[str]]:
    """By word the files that hold it, relative to the folder."""
    found: dict[str, set[str]] = {word: set() for word in words}
    paths = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)  # passes over what goes
    for path in sorted(paths):
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # a part that is being deleted
            continue
        pieces = [data, *_blocks(data)]
        for word in words:
            if any(word.encode() in piece for piece in pieces):
                found[word].add(str(path.relative_to(folder)))
    return found


def _blocks(data: bytes) -> Iterator[bytes]:
    """What the blocks of a file hold, if it has ClickHouse's form. A text that spans two blocks is in neither."""
    position, pieces = 0, []
    while position + _CHECKSUM + _HEADER <= len(data):
        method, size, plain = struct.unpack_from("<BII", data, position + _CHECKSUM)
        end = position + _CHECKSUM + size
        if method < 0x02 or size < _HEADER or end > len(data) or plain > 1 << 28:
            break
        pieces.append(_plain(method, data[position + _CHECKSUM + _HEADER : end], plain))
        position = end
    yield b"".join(pieces)


def _plain(method: int, body: bytes, size: int) -> bytes:
    if method == _NONE:
        return body
    if method == _LZ4:
        return lz4.block.decompress(body, uncompressed_size=size)
    if method == _ZSTD:
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=size)
    return b""  # codecs of numbers
