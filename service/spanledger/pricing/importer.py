"""Makes the bundled price list from the price map inside the installed `litellm` package.

    python -m spanledger.pricing.importer 2026-11-21        # writes data/prices-2026-11-21.json

The day is the one from which changed prices hold. Entries of the newest list before it are carried over: an
unchanged price stays, a changed one gets `valid_to`/`valid_from` that day, a model that left the map keeps its price.
`litellm` is only read as a file, never imported (that would take seconds and go to the network).
"""

import importlib.util
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Context, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spanledger.pricing import files
from spanledger.pricing.entries import Place, identity, price
from spanledger.pricing.price import BILLED_AS
from spanledger.pricing.providers import canonical

_MAP_FILE = "model_prices_and_context_window_backup.json"
_MILLION = 10**6
_TWELVE_DIGITS = Context(prec=12)
_FINEST = Decimal("1e-9")  # USD per million tokens, which is 1e-15 per token

_RATES = {
    "input_cost_per_token": "input",
    "input_cost_per_token_cache_hit": "cache_read",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "output_cost_per_image_token": "image_output",
}
_CALL_FEES = ("input_cost_per_query", "input_cost_per_request")
_TIERS = {"batches": "batch", "flex": "flex", "priority": "priority", "balanced": "balanced", "ultrafast": "ultrafast"}
_KEY = re.compile(
    rf"^(?P<rate>{'|'.join(sorted(_RATES, key=len, reverse=True))})"
    rf"(?:_above_(?P<above>\d+)k_tokens)?(?:_(?P<tier>{'|'.join(_TIERS)}))?$"
)
_DISCOUNT_TIERS = {"batch", "flex"}
_KIND = {
    "cache_write_1h": "cache_write",
    "reasoning": "output",
    "audio_input": "input",
    "audio_output": "output",
    "image_input": "input",
    "image_output": "output",
}
_SKIPPED_MODES = {"search", "video_generation", "ocr", "vector_store", "guardrail"}
_NO_OUTPUT_MODES = {"embedding", "rerank", "moderation"}
_REACHED_IS_OVER = {"x_ai"}  # the upper price begins at the threshold itself, not above it

_HALF_FOR_CACHE_READS = {"fireworks_ai"}  # unless the map states the rate: docs.fireworks.ai, prompt caching

# A zero in the map often only means "not known". These really are free of charge, or run on the user's machine.
_FREE_MODES = {"moderation"}
_FREE_PROVIDERS = {"ollama", "lemonade"}
_FREE_MODELS = {("zai", "glm-4.5-flash"), ("zai", "glm-4.7-flash")}


def map_path() -> Path:
    """LiteLLM's offline price map in the installed package."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        raise SystemExit("litellm is not installed")
    return Path(spec.origin).parent / _MAP_FILE


def entries_of(litellm_map: Mapping[str, Mapping[str, Any]]) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Price entries in the order of provider and model, and how many models were left out, by reason.

    Of two keys that come to the same name, the one with the shorter path wins.
    """
    found: dict[tuple[str, str, bool], dict[str, Any]] = {}
    left_out: Counter[str] = Counter()
    for name, info in sorted(litellm_map.items(), key=lambda item: item[0].count("/")):
        if name == "sample_spec":
            continue
        entry = _entry(name, info)
        if isinstance(entry, str):
            left_out[entry] += 1
            continue
        for one in (entry, _off_peak(entry, info)):
            if one is not None:
                key = (one["provider"], one["model"].lower(), "hours_utc" in one)
                if key in found and _priced(found[key]) != _priced(one):
                    left_out["another price under the same name"] += 1
                found.setdefault(key, one)
    return [found[key] for key in sorted(found)], left_out


def _entry(name: str, info: Mapping[str, Any]) -> dict[str, Any] | str:
    """The entry, or why there is none."""
    mode = info.get("mode") or ""
    if mode in _SKIPPED_MODES:
        return f"mode {mode}"
    listed = str(info.get("litellm_provider") or "")
    provider = canonical(listed)
    prefix, _, rest = name.partition("/")
    model = rest if rest and (prefix == listed or canonical(prefix) == provider) else name
    if not provider:
        return "no provider"
    sheets = _sheets(info, provider)
    flat = sheets[""].get(0, {})
    if mode in _NO_OUTPUT_MODES and flat:
        flat.setdefault("output", Decimal(0))
    call = next((Decimal(info[fee]) for fee in _CALL_FEES if info.get(fee)), None)
    if not flat and not call:
        return "no price per token or call"
    if not call and not any(flat.values()) and not _known_free(provider, model, mode):
        return "zero that may mean unknown"
    entry: dict[str, Any] = {"provider": provider, "model": model, **_stated(sheets[""])}
    if tiers := {tier: _stated(steps) for tier, steps in sorted(sheets.items()) if tier}:
        entry["service_tiers"] = tiers
    if call:
        entry["usd_per_call"] = call
    return entry


def _known_free(provider: str, model: str, mode: str) -> bool:
    return mode in _FREE_MODES or provider in _FREE_PROVIDERS or (provider, model) in _FREE_MODELS


_Steps = dict[int, dict[str, Decimal]]  # input tokens above which → rate name → USD per million tokens


def _sheets(info: Mapping[str, Any], provider: str) -> dict[str, _Steps]:
    """Steps per service tier; `""` is the ordinary one and always there."""
    sheets: dict[str, _Steps] = {"": {}}
    for key, rate in info.items():
        found = _KEY.match(key)
        if found is None or rate is None:
            continue
        above = int(found["above"] or 0) * 1000
        if above and provider in _REACHED_IS_OVER:
            above -= 1
        tier = _TIERS.get(found["tier"] or "", "")
        sheets.setdefault(tier, {}).setdefault(above, {}).setdefault(_RATES[found["rate"]], _per_million(rate))
    for length, rates in _ranges(info):
        sheets[""][length] = {**sheets[""].get(length, {}), **rates}
    if factor := (info.get("provider_specific_entry") or {}).get("fast"):  # Anthropic's fast mode: of all rates
        sheets["fast"] = {
            length: {rate: (usd * Decimal(factor)).quantize(_FINEST) for rate, usd in rates.items()}
            for length, rates in sheets[""].items()
        }
    for tier in _DISCOUNT_TIERS & sheets.keys():
        _complete(sheets[tier], sheets[""])
    if provider in _HALF_FOR_CACHE_READS and "input" in (flat := sheets[""].get(0, {})):
        flat.setdefault("cache_read", flat["input"] / 2)
    _tidy([step for steps in sheets.values() for step in steps.values()])
    return sheets


def _tidy(all_steps: list[dict[str, Decimal]]) -> None:
    """Drops a rate that says nothing anywhere: without it, these tokens are billed as the kind they are part of."""
    for step in all_steps:
        if step.get("cache_write") == 0 and step.get("input"):
            del step["cache_write"]  # no fee on top of the input price, not a free write
    for rate, kind in BILLED_AS:
        stated = [step for step in all_steps if rate in step]
        if all(step[rate] == step.get(kind) for step in stated):
            for step in stated:
                del step[rate]


def _complete(discounted: _Steps, ordinary: _Steps) -> None:
    """Fills what the map leaves out of a tier that discounts everything alike, by the discount of the nearest kind."""
    flat, full = discounted.setdefault(0, {}), ordinary.get(0, {})
    shares = {rate: flat[rate] / full[rate] for rate in flat if full.get(rate)}
    for rate, kind in _KIND.items():
        share = shares.get(kind, shares.get("input"))
        if rate in full and rate not in flat and share is not None:
            flat[rate] = (full[rate] * share).quantize(_FINEST)
            shares[rate] = share
    for length, rates in ordinary.items():
        step = discounted.setdefault(length, {})
        for rate in rates.keys() & shares.keys() - step.keys():
            step[rate] = (rates[rate] * shares[rate]).quantize(_FINEST)


def _ranges(info: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Decimal]]]:
    """`tiered_pricing`: a table of ranges of input length, each with its rates."""
    for tier in info.get("tiered_pricing") or ():
        if "range" in tier and "input_cost_per_token" in tier:
            yield int(tier["range"][0]), {_RATES[key]: _per_million(tier[key]) for key in tier if key in _RATES}


def _stated(steps: _Steps) -> dict[str, Any]:
    stated: dict[str, Any] = {}
    if flat := steps.get(0):
        stated["usd_per_million_tokens"] = flat
    if above := [{"input_tokens": n, "usd_per_million_tokens": steps[n]} for n in sorted(steps) if n]:
        stated["above"] = above
    return stated


def _per_million(rate: Decimal | int | str) -> Decimal:
    """USD per million tokens without the noise of binary fractions: 9.149999999999999e-07 → 0.915."""
    exact = _TWELVE_DIGITS.multiply(_TWELVE_DIGITS.create_decimal(rate), Decimal(_MILLION))
    return exact.quantize(_FINEST)


def _off_peak(entry: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same model in its cheaper hours; they replace the flat price and have no steps."""
    block = info.get("off_peak_pricing")
    if not block or "weekday_timezone" in block:
        return None
    rates = {_RATES[key]: _per_million(block[key]) for key in block if key in _RATES}
    flat = {**entry.get("usd_per_million_tokens", {}), **rates}
    rules = [*block.get("windows", ()), *([{"hours_utc": block["hours_utc"]}] if "hours_utc" in block else [])]
    windows = []
    for rule in rules:
        hours = rule["hours_utc"]
        for span in [hours] if isinstance(hours, str) else hours:
            start, _, end = span.partition("-")
            windows.append({"days": rule.get("weekdays", [1, 2, 3, 4, 5, 6, 7]), "from": start, "to": end})
    return {
        "provider": entry["provider"],
        "model": entry["model"],
        "hours_utc": windows,
        "usd_per_million_tokens": flat,
    }


def carried_on(old: list[Mapping[str, Any]], new: list[dict[str, Any]], day: str) -> list[dict[str, Any]]:
    """The new list with the history of the old one: what changed holds from `day`, what was before holds until then."""
    current = {_slot(entry): entry for entry in new}
    merged: list[dict[str, Any]] = []
    for entry in map(dict, old):
        fresh = None if entry.get("valid_to") else current.pop(_slot(entry), None)
        if fresh is not None and _priced(fresh) != _priced(entry):
            entry["valid_to"] = day
            merged.append({**fresh, "valid_from": day})
        merged.append(entry)
    merged += current.values()
    return sorted(merged, key=lambda entry: (*_slot(entry), entry.get("valid_from") or ""))


def _slot(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return entry["provider"], entry["model"].lower(), _plain(entry.get("hours_utc"))


def _priced(entry: Mapping[str, Any]) -> str:
    """Everything that decides the price, comparable."""
    return _plain({key: value for key, value in entry.items() if key not in ("valid_from", "valid_to", "source")})


def _plain(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=lambda number: float(number))


def write(path: Path, about: str, new: list[dict[str, Any]]) -> None:
    """One entry a line, so that a change of prices reads well in a diff. Every entry is checked first."""
    for number, entry in enumerate(new):
        place = Place(path.name, f"prices[{number}]")
        identity(entry, place)
        price(entry, place)
    lines = ",\n".join(json.dumps(entry, default=_number, ensure_ascii=False) for entry in new)
    path.write_text(f'{{"format": {files.FORMAT}, "about": {json.dumps(about)}, "prices": [\n{lines}\n]}}\n')


def _number(value: object) -> int | float:
    """Decimals of up to 12 digits are the same as a JSON number and back."""
    assert isinstance(value, Decimal)
    plain = int(value) if value == value.to_integral_value() else float(value)
    if Decimal(repr(plain)) != value:
        raise ValueError(f"{value} does not survive as a JSON number")
    return plain


def main(day: str) -> None:
    date.fromisoformat(day)
    data = Path(__file__).parent / "data"
    litellm_map = json.loads(map_path().read_bytes(), parse_float=Decimal)
    new, left_out = entries_of(litellm_map)
    target = data / f"prices-{day}.json"
    before = max((path for path in data.glob("prices-*.json") if path.name < target.name), default=None)
    if before is not None:
        new = carried_on(files.read(before)[1], new, day)
    about = f"USD list prices from the offline map of litellm {version('litellm')}; made by spanledger.pricing.importer"
    write(target, about, new)
    print(f"{target.name}: {len(new)} entries, {target.stat().st_size / 2**20:.2f} MiB")
    for reason, count in left_out.most_common():
        print(f"  left out {count:5}  {reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
