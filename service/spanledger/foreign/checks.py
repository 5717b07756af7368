"""What the worker process does with foreign patterns, schemas and files. Runs there alone; each answers one job."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import jsonschema
import referencing
import referencing.exceptions
import regex

from spanledger.foreign import files

MOST_PATTERN_CHARS = 2_000
MOST_REPEATS = 1_000
MOST_SAID = 300
_REPEATS = regex.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")
_BAD_SCHEMA = (RecursionError, referencing.exceptions.Unresolvable, TypeError, ValueError, AttributeError, KeyError)


def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """`{"ok": …}` or `{"refused": why}`."""
    try:
        match job["kind"]:
            case "pattern":
                compiled(job["pattern"])
                return {"ok": True}
            case "search":
                found = compiled(job["pattern"]).search(job["text"], timeout=job["timeout_s"])
                return {"ok": found is not None}
            case "schema":
                jsonschema.Draft202012Validator.check_schema(job["schema"])
                _unlinked(job["schema"])
                return {"ok": True}
            case "file":
                return {"ok": True, "text": files.text_of(job["type"], base64.b64decode(job["content"]))}
            case _:
                return {"ok": True, "error": _first_error(job)}
    except files.Unreadable as exc:
        return {"refused": str(exc)}
    except regex.error as exc:
        return {"refused": str(exc)[:MOST_SAID]}
    except jsonschema.SchemaError as exc:
        return {"refused": exc.message[:MOST_SAID]}
    except TimeoutError:
        return {"timeout": True}
    except MemoryError:
        return {"refused": "it needs too much memory"}
    except _BAD_SCHEMA as exc:
        return {"refused": f"{type(exc).__name__}: {exc}"[:MOST_SAID]}


def compiled(pattern: str) -> Any:
    """Raises regex.error, for what would repeat too often too."""
    if len(pattern) > MOST_PATTERN_CHARS:
        raise regex.error(f"a pattern may have {MOST_PATTERN_CHARS:,} characters")
    for found in _REPEATS.finditer(pattern):
        if any(int(number[:12]) > MOST_REPEATS for number in found.groups() if number):
            raise regex.error(f"{found[0][:40]} repeats more than {MOST_REPEATS:,} times")
    return regex.compile(pattern)


def _first_error(job: Mapping[str, Any]) -> str | None:
    """What does not fit, with its place; None: all does."""
    validator = _validator(job["patterns"])(job["schema"], registry=referencing.Registry())
    value = json.loads(job["text"])
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is None:
        return None
    where = "".join(f".{part}" for part in error.absolute_path).lstrip(".")
    return f"{where}: {error.message}"[:MOST_SAID] if where else error.message[:MOST_SAID]


def _validator(patterns: bool) -> Any:
    """With a registry of its own nothing is fetched, whatever address a schema refers to."""
    if patterns:
        return jsonschema.Draft202012Validator
    extend: Any = jsonschema.validators.extend
    return extend(jsonschema.Draft202012Validator, {"pattern": None, "patternProperties": None, "propertyNames": None})


def _unlinked(schema: Any) -> None:
    """Raises ValueError for a reference out of the schema."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            for name in ("$ref", "$dynamicRef"):
                target = part.get(name)
                if isinstance(target, str) and not target.startswith("#"):
                    raise ValueError(f"{name} {target[:80]!r} leads out of the schema")
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
