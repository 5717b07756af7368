"""Decompression: whole bodies come out, cut ones are refused, and neither bombs nor crumbs cost much."""

import gzip
import os
import time
import zlib
from collections.abc import Callable

import pytest
import zstandard

from spanledger.ingest import inflate

LIMIT = 4 * 1024 * 1024
Compress = Callable[[bytes], bytes]


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


ENCODINGS: dict[str, tuple[str, Compress]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
}
each = pytest.mark.parametrize(("encoding", "compress"), ENCODINGS.values(), ids=ENCODINGS.keys())


@each
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 16384, 16385, 300_000, LIMIT])
def test_what_was_compressed_comes_out(encoding: str, compress: Compress, size: int) -> None:
    body = os.urandom(size)
    assert inflate.inflate(compress(body), encoding, LIMIT) == body


@each
def test_a_cut_body_is_damaged_wherever_it_is_cut(encoding: str, compress: Compress) -> None:
    whole = compress(os.urandom(2000))
    for end in range(len(whole)):
        with pytest.raises(inflate.Damaged):
            inflate.inflate(whole[:end], encoding, LIMIT)


@each
def test_a_byte_over_the_limit_is_too_big(encoding: str, compress: Compress) -> None:
    for size in (LIMIT + 1, LIMIT * 50):
        with pytest.raises(inflate.TooBig):
            inflate.inflate(compress(bytes(size)), encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_members_one_after_another_are_one_body(encoding: str) -> None:
    _, compress = ENCODINGS[encoding]
    parts = [os.urandom(number * 37) for number in range(100)]
    assert inflate.inflate(b"".join(map(compress, parts)), encoding, LIMIT) == b"".join(parts)
    with pytest.raises(inflate.Damaged):
        inflate.inflate(compress(b"one") + b"something else", encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_of_a_million_empty_members_costs_no_time(encoding: str) -> None:
    body = ENCODINGS[encoding][1](b"") * 1_000_000
    started = time.process_time()
    with pytest.raises(inflate.Damaged):
        inflate.inflate(body, encoding, LIMIT)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("encoding", ["gzip, identity", "identity,gzip", " gzip ", "x-gzip", "gzip,"])
def test_what_changes_nothing_in_the_header_is_left_out(encoding: str) -> None:
    assert inflate.supported(encoding)
    assert inflate.inflate(zlib.compress(b"text", wbits=31), encoding, LIMIT) == b"text"
    assert not inflate.supported("gzip, br")


@each
def test_a_body_that_is_not_compressed_is_told_in_our_words(encoding: str, compress: Compress) -> None:
    with pytest.raises(inflate.Damaged, match="it does not decompress from byte 0 on"):
        inflate.inflate(b"\xff" * 100, encoding, LIMIT)
