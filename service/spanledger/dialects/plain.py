"""Plain claims of cost and times of first chunks, by columns: the same that amounts.py makes of each by itself."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spanledger.dialects.alike import Bools, Ints

Texts = npt.NDArray[np.object_]
_AMOUNT = "^[0-9]{1,9}([.][0-9]{1,15})?$"
_SECONDS = "^[0-9]{1,9}([.][0-9]{1,17})?$"
_MONEY = pa.decimal128(38, 15)


def first_chunks(texts: Texts, some: Bools, lasted_ns: Ints, result: Texts) -> Ints:
    """Writes into `result` what `some` of the spans say in seconds; which spans these are."""
    rows, plainly = _plain(texts, some, _SECONDS)
    figures = plainly.cast(pa.float64()).to_numpy() * 1e9
    fit = figures <= lasted_ns[rows] + 1e9
    result[rows[fit]] = np.rint(figures[fit]).astype(np.int64).tolist()
    return rows


def claims(texts: Texts, sources: Texts) -> tuple[Ints, pa.Array, Texts]:
    """Which spans claim a plain amount, the amounts of all spans (null for none) and their sources. `sources`: who has
    worked out a claim, '' where it is not to be read here."""
    rows, plainly = _plain(texts, sources != "", _AMOUNT)
    amounts = plainly.cast(_MONEY)
    # Libraries report a cost of exactly 0 when they have no price.
    counts = pc.not_equal(amounts, pa.scalar(0, _MONEY)).to_numpy(zero_copy_only=False) | (sources[rows] == "provider")
    place = np.full(len(texts), -1, np.int64)
    place[rows[counts]] = np.flatnonzero(counts)
    kept = np.full(len(texts), "", dtype=object)
    kept[rows[counts]] = sources[rows[counts]]
    return rows, amounts.take(pa.array(place, mask=place < 0)), kept


def _plain(texts: Texts, some: Bools, pattern: str) -> tuple[Ints, pa.Array]:
    """The rows among `some` whose texts match, and these texts."""
    rows = np.flatnonzero(some & (texts != ""))
    chosen = pa.array(texts[rows], pa.string())
    fits = pc.match_substring_regex(chosen, pattern)
    return rows[fits.to_numpy(zero_copy_only=False)], chosen.filter(fits)
