"""Decompression that stops at a limit, so that a bomb costs its sender an answer and nobody any memory."""

import zlib
from collections.abc import Callable

import zstandard

_CHUNK = 256 * 1024


class TooBig(ValueError):
    """The decompressed body passes the limit."""


class Damaged(ValueError):
    """The body is not what its Content-Encoding says."""


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its content encoding. Raises TooBig, Damaged, KeyError for an encoding unknown here."""
    if encoding in {"", "identity"}:
        return body
    return _DECODERS[encoding](body, limit)


def supported(encoding: str) -> bool:
    return encoding in {"", "identity"} or encoding in _DECODERS


def _zlib(body: bytes, limit: int, wbits: int) -> bytes:
    decoder = zlib.decompressobj(wbits)
    try:
        out = decoder.decompress(body, limit + 1)
    except zlib.error as exc:
        raise Damaged(str(exc)) from exc
    if len(out) > limit:
        raise TooBig
    if not decoder.eof:
        raise Damaged("the compressed body ends early")
    if decoder.unused_data:
        return _next_member(out, decoder.unused_data, limit, wbits)
    return out


def _next_member(out: bytes, rest: bytes, limit: int, wbits: int) -> bytes:
    """gzip files may consist of several members; zero padding may follow."""
    parts = [out]
    size = len(out)
    while rest.strip(b"\0"):
        decoder = zlib.decompressobj(wbits)
        try:
            part = decoder.decompress(rest, limit - size + 1)
        except zlib.error as exc:
            raise Damaged(str(exc)) from exc
        size += len(part)
        if size > limit:
            raise TooBig
        if not decoder.eof:
            raise Damaged("the compressed body ends early")
        parts.append(part)
        rest = decoder.unused_data
    return b"".join(parts)


def _gzip(body: bytes, limit: int) -> bytes:
    return _zlib(body, limit, 31)


def _deflate(body: bytes, limit: int) -> bytes:
    """zlib by the standard, raw deflate as some clients send it."""
    try:
        return _zlib(body, limit, 15)
    except Damaged:
        return _zlib(body, limit, -15)


def _zstd(body: bytes, limit: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=64 * 1024 * 1024).stream_reader(body, read_across_frames=True)
    parts: list[bytes] = []
    size = 0
    try:
        while part := reader.read(min(_CHUNK, limit - size + 1)):
            size += len(part)
            if size > limit:
                raise TooBig
            parts.append(part)
    except zstandard.ZstdError as exc:
        raise Damaged(str(exc)) from exc
    if not parts and body:
        raise Damaged("not a complete zstd frame")
    return b"".join(parts)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
