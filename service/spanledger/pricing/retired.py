"""Makes the list of retired models: prices that are in older maps of LiteLLM and in no other bundled list.

    python -m spanledger.pricing.retired 2026-11-21 1.83.0=map.json 1.80.0=older.json     # newest first

Each map is `model_prices_and_context_window_backup.json` of that release of the `litellm` package.
"""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from spanledger.pricing.book import bundled_layers
from spanledger.pricing.importer import entries_of, write

# Figures of those maps that the makers' own lists contradict.
_WRONG = {("azure.ai.openai", "gpt-35-turbo-0301")}
_BY_CHARACTER = ("-bison", "gecko")  # Google charged them by the character; the maps' prices by token are guesses


def entries(maps: Mapping[str, Path]) -> list[dict[str, Any]]:
    """The models that the other lists lack, each from the first map that has it."""
    known, now = bundled_layers(), datetime.now(UTC)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for release, path in maps.items():
        listed, _ = entries_of(json.loads(path.read_bytes(), parse_float=Decimal))
        for entry in listed:
            key = (entry["provider"], entry["model"].lower())
            is_usable = key not in _WRONG and not any(word in key[1] for word in _BY_CHARACTER)
            if is_usable and "hours_utc" not in entry and known.lookup(*key, now) is None:
                found.setdefault(key, {**entry, "source": f"litellm {release}"})
    return [found[key] for key in sorted(found)]


def main(day: str, *maps: str) -> None:
    date.fromisoformat(day)
    sources = {release: Path(path) for release, _, path in (each.partition("=") for each in maps)}
    new = entries(sources)
    target = Path(__file__).parent / "data" / f"retired-{day}.json"
    releases = ", ".join(sources)
    about = (
        f"USD list prices of retired models, from the maps of litellm {releases}; made by spanledger.pricing.retired"
    )
    write(target, about, new)
    print(f"{target.name}: {len(new)} entries, {target.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
