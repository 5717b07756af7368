"""Reading price files: JSON for the bundled list, YAML for those that people write. Numbers are never floats."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from spanledger.errors import SettingsError
from spanledger.pricing.entries import LINE, Place

FORMAT = 1


def read(path: Path) -> tuple[bytes, list[Mapping[str, Any]]]:
    """The file's bytes and its entries, as they stand. SettingsError if it is not a price file."""
    try:
        raw = path.read_bytes()
        text = raw.decode()
    except OSError as exc:
        raise SettingsError(f"cannot read the price file {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"the price file {path} is not UTF-8 text") from exc
    content = _json(text, path) if path.suffix == ".json" else _yaml(text, path)
    return raw, _entries(content, Place(path.name, "", None))


def _json(text: str, path: Path) -> object:
    try:
        return json.loads(text, parse_float=Decimal)
    except RecursionError as exc:
        raise SettingsError(f"{path.name}: it is nested too deeply") from exc
    except json.JSONDecodeError as exc:
        raise SettingsError(f"{path.name}, line {exc.lineno}: not JSON: {exc.msg}") from exc


def _yaml(text: str, path: Path) -> object:
    try:
        return yaml.load(text, Loader=_ExactLoader)  # a SafeLoader
    except yaml.MarkedYAMLError as exc:
        line = f", line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        raise SettingsError(f"{path.name}{line}: not YAML: {exc.problem}") from exc
    except RecursionError as exc:
        raise SettingsError(f"{path.name}: it is nested too deeply") from exc
    except yaml.YAMLError as exc:
        raise SettingsError(f"{path.name}: not YAML: {exc}") from exc


def _entries(content: object, place: Place) -> list[Mapping[str, Any]]:
    if not isinstance(content, Mapping):
        raise place.at("the file").wrong("must be a mapping with `format: 1` and `prices:`")
    if content.get("format") != FORMAT:
        raise place.at("format").wrong(f"must be {FORMAT}, not {content.get('format')!r}")
    if unknown := set(content) - {"format", "prices", "about", LINE}:
        raise place.at(str(min(map(str, unknown)))).wrong("unknown name; known are about, format, prices")
    prices = content.get("prices")
    if not isinstance(prices, list):
        raise place.at("prices").wrong("must be a list of entries")
    return prices


class _ExactLoader(yaml.SafeLoader):
    """Safe YAML whose fractions are exact Decimals, whose mappings know their line and have no name twice."""


def _decimal(loader: _ExactLoader, node: yaml.ScalarNode) -> Decimal | str:
    value = str(loader.construct_scalar(node)).replace("_", "")
    try:
        return Decimal(value)
    except ArithmeticError:  # .inf, .nan, 1:30.5: refused as no number where the value is used
        return value


def _numbered(loader: _ExactLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    seen: set[str] = set()
    for key, _ in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        if name in seen:
            raise yaml.constructor.ConstructorError(None, None, f"`{name}` stands here twice", key.start_mark)
        seen.add(name)
    mapping: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    mapping[LINE] = node.start_mark.line + 1
    return mapping


_ExactLoader.add_constructor("tag:yaml.org,2002:float", _decimal)
_ExactLoader.add_constructor("tag:yaml.org,2002:map", _numbered)
