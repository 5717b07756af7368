"""Decompression with a size limit, against decompression bombs."""

import zlib
from collections.abc import Callable
from typing import Any

import zstandard

_ZLIB_PIECE = 16 * 1024
_ZSTD_PIECE = 512  # its output cannot be bounded: at most 128 KiB for each 4 bytes of it, so 16 MiB
_ZSTD_WINDOW = 64 * 1024 * 1024
_MAX_MEMBERS = 10_000  # each costs some microseconds, whatever is in it


class TooBig(ValueError):
    """The decompressed body passes the limit."""


class Damaged(ValueError):
    """The body is not what its Content-Encoding says."""


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its content encoding. Raises TooBig, Damaged, KeyError for an encoding unknown here."""
    name = _effective(encoding)
    return _DECODERS[name](body, limit) if name else body


def supported(encoding: str) -> bool:
    name = _effective(encoding)
    return not name or name in _DECODERS


def _effective(encoding: str) -> str:
    """The header without what changes nothing."""
    return ",".join(name for part in encoding.split(",") if (name := part.strip()) not in ("", "identity"))


def _members(
    body: bytes, limit: int, piece_size: int, new: Callable[[], Any], some: Callable[[Any, memoryview, int], bytes]
) -> bytes:
    """One compressed member after another; in small pieces, for what follows a member is copied each time one ends."""
    view = memoryview(body)
    parts: list[bytes] = []
    decoder = new()
    position = size = members = 0
    while position < len(view):
        piece = view[position : position + piece_size]
        try:
            part = some(decoder, piece, limit - size + 1)
        except (zlib.error, zstandard.ZstdError) as exc:
            raise Damaged(f"it does not decompress from byte {position:,} on") from exc
        size += len(part)
        if size > limit:
            raise TooBig
        parts.append(part)
        position += len(piece) - len(decoder.unused_data)
        if decoder.eof and position < len(view):
            members += 1
            if members == _MAX_MEMBERS:
                raise Damaged(f"more than {_MAX_MEMBERS} parts")
            decoder = new()
    if not decoder.eof:
        raise Damaged("the compressed body ends early")
    return b"".join(parts)


def _zlib(body: bytes, limit: int, wbits: int) -> bytes:
    return _members(
        body,
        limit,
        _ZLIB_PIECE,
        lambda: zlib.decompressobj(wbits),
        lambda decoder, piece, at_most: decoder.decompress(piece, at_most),
    )


def _gzip(body: bytes, limit: int) -> bytes:
    return _zlib(body, limit, 31)


def _deflate(body: bytes, limit: int) -> bytes:
    """zlib by the standard, raw deflate as some clients send it."""
    try:
        return _zlib(body, limit, 15)
    except Damaged:
        return _zlib(body, limit, -15)


def _zstd(body: bytes, limit: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    return _members(
        body, limit, _ZSTD_PIECE, decompressor.decompressobj, lambda decoder, piece, _: decoder.decompress(piece)
    )


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
