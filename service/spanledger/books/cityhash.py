"""ClickHouse's cityHash64 of whole columns: CityHash 1.0.2, which no library of ours has.

A test compares it with the engine. Arithmetic wraps at 64 bits, as it should.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]
_Places = npt.NDArray[np.int64]

_K0, _K1 = np.uint64(0xC3A5C85C97CB3127), np.uint64(0xB492B66FBE98F273)
_K2, _K3 = np.uint64(0x9AE16A3B2F90404F), np.uint64(0xC949D7C7509E6557)
_MULTIPLIER = np.uint64(0x9DDFEA08EB382D69)
_WHOLE_NUMBER = np.uint64(0x4CF2D2BAAE6DA887)  # mixed into every number
_WORD = np.arange(8)


def city_hash(first: Any, *others: Any) -> Hashes:
    """Per row the hash of these columns together: texts (Arrow), whole numbers (NumPy), one text for all rows."""
    found = _of_column(first)
    for column in others:
        found = _pair(found, _of_column(column))
    return found


def _of_column(column: Any) -> Hashes:
    if isinstance(column, np.ndarray):
        return _of_numbers(column)
    return of_texts(pa.array([column]) if isinstance(column, str) else column)


def of_texts(column: Any) -> Hashes:
    """Per row the hash of a text."""
    texts = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(texts.type):
        words = of_texts(texts.dictionary.cast(pa.string()))
        found: Hashes = words[texts.indices.to_numpy(zero_copy_only=False).astype(np.int64)]
        return found
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    held = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return _Texts(np.concatenate([held, np.zeros(8, np.uint8)]), bounds[:-1], np.diff(bounds)).hashes()


def _of_numbers(values: npt.NDArray[np.int64]) -> Hashes:
    x = values.astype(np.int64).view(np.uint64) ^ _WHOLE_NUMBER
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    mixed: Hashes = x ^ (x >> np.uint64(33))
    return mixed


class _Texts:
    """Texts that lie in `data` from `begin` on, `size` bytes each; 8 bytes follow the last one."""

    def __init__(self, data: npt.NDArray[np.uint8], begin: _Places, size: _Places) -> None:
        self._data = data
        self._begin = begin
        self._size = size

    def hashes(self) -> Hashes:
        result = np.full(len(self._size), _K2, np.uint64)  # of an empty text
        size = self._size
        ways: tuple[tuple[Any, Callable[[_Texts], Hashes]], ...] = (
            ((size > 0) & (size < 4), _Texts._tiny),
            ((size >= 4) & (size <= 8), _Texts._to_8),
            ((size > 8) & (size <= 16), _Texts._to_16),
            ((size > 16) & (size <= 32), _Texts._to_32),
            ((size > 32) & (size <= 64), _Texts._to_64),
            (size > 64, _Texts._longer),
        )
        for mask, way in ways:
            if mask.any():
                result[mask] = way(_Texts(self._data, self._begin[mask], size[mask]))
        return result

    def _fetch(self, place: _Places | int, from_end: bool = False) -> Hashes:
        """Eight bytes from a place on, counted from the begin of each text or from behind its end."""
        begin = self._begin + place + (self._size if from_end else 0)
        word: Hashes = np.ascontiguousarray(self._data[begin[:, None] + _WORD]).view("<u8")[:, 0]
        return word

    def _byte(self, place: _Places | int) -> Hashes:
        byte: Hashes = self._data[self._begin + place].astype(np.uint64)
        return byte

    @property
    def _length(self) -> Hashes:
        return self._size.astype(np.uint64)

    def _tiny(self) -> Hashes:
        y = self._byte(0) + (self._byte(self._size >> 1) << np.uint64(8))
        z = self._length + (self._byte(self._size - 1) << np.uint64(2))
        return _shift_mix((y * _K2) ^ (z * _K3)) * _K2

    def _to_8(self) -> Hashes:
        low = np.uint64(0xFFFFFFFF)
        return _pair(self._length + ((self._fetch(0) & low) << np.uint64(3)), self._fetch(-4, True) & low)

    def _to_16(self) -> Hashes:
        last = self._fetch(-8, True)
        return _pair(self._fetch(0), _rotate(last + self._length, self._length)) ^ last

    def _to_32(self) -> Hashes:
        a, b = self._fetch(0) * _K1, self._fetch(8)
        c, d = self._fetch(-8, True) * _K2, self._fetch(-16, True) * _K0
        return _pair(_rotate(a - b, 43) + _rotate(c, 30) + d, a + _rotate(b ^ _K3, 20) - c + self._length)

    def _to_64(self) -> Hashes:
        start = self._fetch(0) + (self._length + self._fetch(-16, True)) * _K0
        v_first, v_second = self._half(start, self._fetch(24), self._fetch(8), self._fetch(16))
        start = self._fetch(16) + self._fetch(-32, True)
        w_first, w_second = self._half(start, self._fetch(-8, True), self._fetch(-24, True), self._fetch(-16, True))
        mixed = _shift_mix((v_first + w_second) * _K2 + (w_first + v_second) * _K0)
        return _shift_mix(mixed * _K0 + v_second) * _K2

    @staticmethod
    def _half(a: Hashes, z: Hashes, second: Hashes, third: Hashes) -> tuple[Hashes, Hashes]:
        b, c = _rotate(a + z, 52), _rotate(a, 37)
        a = a + second
        c = c + _rotate(a, 7)
        a = a + third
        return a + z, b + _rotate(a, 31) + c

    def _longer(self) -> Hashes:
        x, y = self._fetch(0), self._fetch(-16, True) ^ _K1
        z = self._fetch(-56, True) ^ _K0
        end = self._size
        v = self._weak(end - 64, self._length, y)
        w = self._weak(end - 32, self._length * _K1, np.full(len(end), _K0))
        z = z + _shift_mix(v[1]) * _K1
        x = _rotate(z + x, 39) * _K1
        y = _rotate(y, 33) * _K1
        blocks = (end - 1) >> 6
        state = [x, y, z, *v, *w]
        for block in range(int(blocks.max())):
            some = np.flatnonzero(blocks > block)
            stepped = _Texts(self._data, self._begin[some], end[some])._step(block * 64, [one[some] for one in state])
            for whole, part in zip(state, stepped, strict=True):
                whole[some] = part
        x, y, z, v_first, v_second, w_first, w_second = state
        return _pair(_pair(v_first, w_first) + _shift_mix(y) * _K1 + z, _pair(v_second, w_second) + x)

    def _step(self, place: int, state: list[Hashes]) -> list[Hashes]:
        """One block of 64 bytes."""
        x, y, z, v_first, v_second, w_first, w_second = state
        x = _rotate(x + y + v_first + self._fetch(place + 16), 37) * _K1
        y = _rotate(y + v_second + self._fetch(place + 48), 42) * _K1
        x, y = x ^ w_second, y ^ v_first
        z = _rotate(z ^ w_first, 33)
        v = self._weak(place, v_second * _K1, x + w_first)
        w = self._weak(place + 32, z + w_second, y)
        return [z, y, x, *v, *w]

    def _weak(self, place: _Places | int, a: Hashes, b: Hashes) -> tuple[Hashes, Hashes]:
        """32 bytes from a place on, mixed with two seeds."""
        first, second, third, fourth = (self._fetch(place + away) for away in (0, 8, 16, 24))
        a = a + first
        b = _rotate(b + a + fourth, 21)
        c = a
        a = a + second + third
        b = b + _rotate(a, 44)
        return a + fourth, b + c


def _pair(low: Hashes, high: Hashes) -> Hashes:
    a = _shift_mix((low ^ high) * _MULTIPLIER)
    b = _shift_mix((high ^ a) * _MULTIPLIER)
    return b * _MULTIPLIER


def _shift_mix(value: Hashes) -> Hashes:
    return value ^ (value >> np.uint64(47))


def _rotate(value: Hashes, by: Hashes | int) -> Hashes:
    """To the right, by 1 to 63 bits."""
    shift = np.asarray(by, np.uint64)
    rotated: Hashes = (value >> shift) | (value << (np.uint64(64) - shift))
    return rotated
