"""The price book: every price known, found by provider, model and time.

Layers: the user's files (the last one given first), the offline provider's prices, the bundled list, and the lists of
what that one lacks: known prices, past ones, retired models. An exact name in any layer goes before a pattern; a price
that is limited to hours of the day goes before one that is not.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any

from spanledger.pricing import entries, files, names
from spanledger.pricing.entries import Place
from spanledger.pricing.price import Price
from spanledger.pricing.providers import canonical, catalogues

_DATA = Path(__file__).parent / "data"
OFFLINE_FILE = _DATA / "offline.yaml"
KNOWN_FILE = _DATA / "known.yaml"
_Key = tuple[str, str]


def bundled_file() -> Path:
    """The newest committed price list."""
    return max(_DATA.glob("prices-*.json"))


def past_file() -> Path:
    """The newest committed list of what the first one lacks: prices of OpenRouter, Groq and retired models."""
    return max(_DATA.glob("past-*.json"))


def retired_file() -> Path:
    """The newest committed list of models that only older lists knew."""
    return max(_DATA.glob("retired-*.json"))


def load_book(user_files: Sequence[Path] = ()) -> "PriceBook":
    """The bundled prices, those of the offline provider, and the user's on top. SettingsError names what is wrong."""
    bundled = bundled_file()
    layers = [_Layer(path, checked=True) for path in reversed(user_files)]
    layers += [_Layer(path) for path in (OFFLINE_FILE, bundled, KNOWN_FILE, past_file(), retired_file())]
    return PriceBook(layers, day=bundled.stem.removeprefix("prices-"))


def bundled_layers() -> "PriceBook":
    """The bundled lists without that of retired models, which is made of what they lack."""
    return book_of_files([OFFLINE_FILE, bundled_file(), KNOWN_FILE, past_file()])


def book_of_files(paths: Sequence[Path]) -> "PriceBook":
    """A book of exactly these files, in order of precedence. Restores a book that was used before."""
    bundled = next((path for path in paths if path.stem.startswith("prices-")), paths[-1])
    return PriceBook([_Layer(path) for path in paths], day=bundled.stem.removeprefix("prices-"))


class _Layer:
    """One price file. Entries become prices when they are first looked up, or all at once if `checked`."""

    def __init__(self, path: Path, *, checked: bool = False) -> None:
        raw, found = files.read(path)
        self.path = path
        self.digest = hashlib.sha256(raw).digest()
        self._entries: dict[_Key, list[tuple[Mapping[str, Any], Place]]] = {}
        self._prices: dict[_Key, tuple[Price, ...]] = {}
        for number, entry in enumerate(found):
            place = Place(path.name, "", None).at(f"prices[{number}]", entry)
            self._entries.setdefault(entries.identity(entry, place), []).append((entry, place))
        self.patterns = [key for key in self._entries if "*" in key[1]]
        if checked:
            for key in self._entries:
                _refuse_overlaps(self.prices(key), self._entries[key])

    def prices(self, key: _Key) -> tuple[Price, ...]:
        """Prices of exactly this provider and model, newest first, those bound to hours before the others."""
        found = self._prices.get(key)
        if found is None:
            made = [entries.price(entry, place) for entry, place in self._entries.get(key, ())]
            found = self._prices[key] = tuple(sorted(made, key=_latest_first))
        return found

    def __iter__(self) -> Iterator[_Key]:
        return iter(self._entries)


class PriceBook:
    """Prices by provider, model and time. `version` changes whenever any price may have."""

    def __init__(self, layers: Sequence[_Layer], day: str) -> None:
        self._layers = layers
        digest = hashlib.sha256(b"".join(layer.digest for layer in layers)).hexdigest()
        self.version = f"{day}.{digest[:8]}"
        self._found: dict[_Key, tuple[Price, ...]] = {}
        self._snapshots: dict[_Key, list[_Key]] | None = None

    @property
    def files(self) -> list[Path]:
        """The files it was made of, in order of precedence."""
        return [layer.path for layer in self._layers]

    def lookup(self, provider: str, model: str, at: datetime) -> Price | None:
        """The price of a call that started at `at` (naive = UTC), or None: unpriced. Repeated look-ups are cheap."""
        found = self.lookups(provider, model)
        if not found:
            return None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return next((price for price in found if price.holds(at)), None)

    def lookups(self, provider: str, model: str) -> tuple[Price, ...]:
        """All prices that `lookup` considers, in its order; remembered."""
        found = self._found.get((provider, model))
        if found is None:
            found = self._found[provider, model] = self._search(provider, model)
        return found

    def prices(self) -> Iterator[Price]:
        """Every price, the user's first. Slow: makes them all."""
        for layer in self._layers:
            for key in layer:
                yield from layer.prices(key)

    def find(self, provider: str, model: str) -> tuple[Price, ...]:
        """All prices that `lookup` would consider for this model, in its order."""
        return self._search(provider, model)

    def _search(self, provider: str, model: str) -> tuple[Price, ...]:
        prefix, _, rest = model.strip().partition("/")
        if not prefix:
            return ()
        if canonical(provider) == "litellm" and rest:  # a call through LiteLLM has the provider before the model's name
            provider = prefix
        for search in (self._exact, self._matching, self._agreeing_snapshots):
            if found := search(provider, model):
                return found
        return ()

    def _exact(self, provider: str, model: str) -> tuple[Price, ...]:
        for seller in catalogues(provider):
            for name in names.spellings(provider, model):
                if found := tuple(price for layer in self._layers for price in layer.prices((seller, name))):
                    return found
        return ()

    def _matching(self, provider: str, model: str) -> tuple[Price, ...]:
        """Patterns with `*`; the longest is the most particular."""
        seller, name = canonical(provider), names.bare(provider, model)
        for layer in self._layers:
            for key in sorted(layer.patterns, key=lambda key: -len(key[1])):
                if key[0] == seller and fnmatchcase(name, key[1].replace("[", "[[]")):
                    return layer.prices(key)
        return ()

    def _agreeing_snapshots(self, provider: str, model: str) -> tuple[Price, ...]:
        """A name without a date, of which the lists know only dated snapshots: theirs, if they all cost the same."""
        if self._snapshots is None:
            self._snapshots = self._by_undated_name()
        keys = [(canonical(provider), name) for name in names.spellings(provider, model)]
        snapshots = next((self._snapshots[key] for key in keys if key in self._snapshots), [])
        known = [self._exact(*snapshot) for snapshot in sorted(snapshots, reverse=True)]
        costs = [[(price.tiers, price.valid_from, price.valid_to, price.windows) for price in found] for found in known]
        if not known or any(one != other for one, other in pairwise(costs)):
            return ()
        return known[0]

    def _by_undated_name(self) -> dict[_Key, list[_Key]]:
        found: dict[_Key, list[_Key]] = {}
        for layer in self._layers:
            for provider, model in layer:
                if (base := names.undated(model)) != model:
                    found.setdefault((provider, base), []).append((provider, model))
        return found


def _latest_first(price: Price) -> tuple[bool, float]:
    return not price.windows, -price.valid_from.timestamp() if price.valid_from else float("inf")


def _refuse_overlaps(prices: tuple[Price, ...], stated: Sequence[tuple[Mapping[str, Any], Place]]) -> None:
    """Two prices of the same model for the same time: ambiguous."""
    plain = sorted((price for price in prices if not price.windows), key=_latest_first)
    for later, earlier in pairwise(plain):
        if later.valid_from is None or earlier.valid_to is None or earlier.valid_to > later.valid_from:
            place = stated[-1][1]
            raise place.wrong(
                f"{later.provider} {later.model} has two prices for the same time: give `valid_from`/`valid_to`"
            )
