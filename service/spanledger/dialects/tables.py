"""The tables of clickhouse/dialects: the meaning of attributes in every dialect.

Two readers: the view over otel_traces keeps the attributes that any table names (`view_sql`, committed under
clickhouse/views), and `interpret` turns them into canonical columns.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from string import Template
from typing import Any

import yaml

from spanledger import resources
from spanledger.dialects.shapes import MAX_TEXT, REQUEST_WORDS, SHAPE
from spanledger.dialects.words import FLAT_COUNTS, INPUT_WORDS, MAX_MODEL, OUTPUT_WORDS

RESOURCE = "resource:"  # facts of the resource
EVENT = "event:"  # facts of the span's events
NAME = "name:"  # what the name of a span says by how it begins
STATUS_MESSAGE = "status:message"
FIRST_TOKEN = "First Token Stream Event"

# Columns of otel_traces that every step of the view passes on.
_PLAIN = (
    *("Timestamp", "TraceId", "SpanId", "ParentSpanId", "SpanName", "ServiceName", "ScopeName", "Duration"),
    *("Tenant", "Batch", "ReceivedAt"),
)
OWN_SCOPE = "spanledger"  # our own service's instrumentation; the door reserves it (ingest/claims.py)
IMPORT_SCOPE = f"{OWN_SCOPE}.imports"  # history, as old as it may be
IMPORT_MS = "spanledger.import.at_ms"  # when it was imported: a later import of the same message stands, as a whole
_LATEST_MS = 2**43  # in the year 2248
_OURS = 2**62  # of two spans with the same ids that of our own service stands, however long the other is
USAGE_FIELDS = ("input_tokens", "output_tokens", "usage_object")  # fields of usage in places that tables name
NO_VALUES = "'', 'None', 'none', 'null', 'undefined'"  # what languages write where there is none, in SQL
_COUNT_ENDINGS = ("tokens", "Tokens", "token_count", "TokenCount")  # of keys that hold one count
_VIEW_HEADER = """\
-- genai_spans_mv: every span lands in genai_spans with the attributes that clickhouse/dialects names (column facts);
-- settlement reads what they mean (dialects/interpreter.py) and writes the row again, in canonical names.
-- Generated from clickhouse/dialects by `python -m spanledger.dialects.tables`; do not edit.
CREATE MATERIALIZED VIEW IF NOT EXISTS genai_spans_mv TO genai_spans AS
"""


class Tables:
    """The YAML files, indexed for look-ups. Made once: `tables()`."""

    def __init__(self, files: Mapping[str, Any]) -> None:
        self.fields: dict[str, dict[str, Any]] = dict(files["fields"]["fields"])
        self.kinds: list[dict[str, Any]] = files["operations"]
        self.objects: dict[str, Any] = files["objects"]
        self.providers: dict[str, Any] = files["providers"]
        self.dialects: dict[str, Any] = files["dialects"]
        self.common = frozenset(files["fields"]["common"])
        self.idle = frozenset(files["fields"]["idle"])
        self.per_span = {*files["fields"]["per_span"]}
        self.key_patterns: dict[str, str] = files["fields"]["key_patterns"]
        prefixes: Sequence[str] = files["fields"]["metadata_prefixes"]
        encoded = tuple(files["fields"]["json_encoded"])
        for number, kind in enumerate(self.kinds):
            self.fields[f"kind_{number}"] = {"keys": kind["keys"]}
        self.keys = _ranked_keys(self.fields, prefixes)
        # of keys `name:scope|beginning`
        self.by_name = [(k, *k[len(NAME) :].split("|", 1)) for k in sorted(self.keys) if k.startswith(NAME)]
        self.resource_fields = frozenset(name for name, field in self.fields.items() if field.get("resource"))
        self.json_encoded = encoded  # values under these prefixes may be JSON texts themselves: they arrive in quotes
        self.counts = [n for n in self.fields if n.endswith("_tokens") or n == "cache_write_5m"]
        self.per_span |= set(self.counts)
        self.inside = {
            name: [_place(p) for p in field["inside"]] for name, field in self.fields.items() if "inside" in field
        }
        self._patterns = [(re.compile(pattern), word) for pattern, word in self.key_patterns.items()]
        self.place = lru_cache(maxsize=10_000)(self._find)

    def _find(self, key: str) -> tuple[str, int] | None:
        """Field and rank (0 = best) of an attribute key."""
        found = self.keys.get(key)
        if found is None:
            for pattern, word in self._patterns:
                if pattern.match(key):
                    return self.keys.get(pattern.sub(word, key))
        return found


def _place(path: str) -> tuple[str, str]:
    name, _, fact = path.partition(".")
    return name, fact


def _ranked_keys(fields: Mapping[str, Mapping[str, Any]], prefixes: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Attribute key → field and rank. ValueError for a key in two fields; spread metadata gives way to others."""
    ranked: dict[str, tuple[str, int]] = {}
    for name, field in fields.items():
        for rank, key in enumerate(dict.fromkeys(field.get("keys", ()))):
            if key in ranked:
                raise ValueError(f"{key} stands in two fields: {ranked[key][0]} and {name}")
            ranked[key] = (name, rank)
    for name, field in fields.items():
        start = len(field.get("keys", ()))
        spread = [prefix + word for word in field.get("metadata", ()) for prefix in prefixes]
        for rank, key in enumerate(spread, start):
            ranked.setdefault(key, (name, rank))
    return ranked


@cache
def tables() -> Tables:
    """The tables of this installation."""
    folder = resources.folder("clickhouse") / "dialects"
    return Tables({path.stem: yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))})


def view_sql() -> str:
    """The view's file."""
    return _VIEW_HEADER + facts_sql("otel_traces") + "\n"


def facts_sql(source: str) -> str:
    """The SELECT from raw spans (`source`: a table, or a sub-query in brackets) to rows of genai_spans with facts."""
    looks = _looks()
    values = {
        **_lists(tables()),
        "plain": ", ".join(_PLAIN),
        "beginnings": _any_of(f"startsWith(k, {_quote(begin)})" for begin in _beginnings(tables())),
        "patterns": _quote("|".join(tables().key_patterns)),
        "is_worth_keeping": _worth_keeping(tables()),
        "names": _of_names(tables()),
        "looks": looks,
        "of_event": "(" + re.sub(r"\bv\b", "e.2", re.sub(r"\bk\b", "e.1", looks)) + ")",
        "no_values": NO_VALUES,
        "max_model": MAX_MODEL,
        "own_scope": OWN_SCOPE,
        "ours": _OURS,
        "import_scope": IMPORT_SCOPE,
        "import_ms_key": IMPORT_MS,
        "latest_ms": _LATEST_MS,
        "resource": RESOURCE,
        "shape": SHAPE,
        "event": EVENT,
        "first_token": FIRST_TOKEN,
        "status_message": STATUS_MESSAGE,
        "source": source,
    }
    return Template(_template()).substitute(values)


def _lists(known: Tables) -> dict[str, str]:
    """Lists of keys, as literals."""
    exact = {key: field for key, (field, _) in known.keys.items() if "*" not in key}
    return {
        "exact": _literals(key for key in exact if not key.startswith((EVENT, NAME))),
        "usage": _literals(key for key, field in exact.items() if field in USAGE_FIELDS),
        "idle": _literals(key for key, field in exact.items() if field in known.idle),
        "of_resource": _literals(key for key, (field, _) in known.keys.items() if field in known.resource_fields),
        "in_events": _literals(key[len(EVENT) :] for key in known.keys if key.startswith(EVENT)),
    }


def _looks() -> str:
    """Whether attribute `k` with value `v` may be a count by its key's ending, or a text in which usage stands. Only
    spans without a known count are searched, and of those only what holds a part that each word for tokens has: most
    values cost one comparison."""
    text = (
        f"(length(v) BETWEEN 20 AND {MAX_TEXT} AND NOT startsWith(k, 'input')"
        f" AND NOT multiSearchAny(k, [{_literals(REQUEST_WORDS)}])"
        f" AND multiSearchAnyCaseInsensitive(v, [{_literals((*INPUT_WORDS, *OUTPUT_WORDS))}]))"
    )
    endings = (f"endsWith(k, {_quote(ending)})" for ending in _COUNT_ENDINGS)
    return _any_of((*endings, f"match(k, {_quote('|'.join(FLAT_COUNTS))})", text))


def _worth_keeping(known: Tables) -> str:
    """Whether value `v` of an attribute that may be long holds a word without which nothing is read from it."""
    return " AND ".join(
        f"(k NOT IN [{_literals(field['keys'])}] OR (length(v) <= {MAX_TEXT} AND multiSearchAny(v, "
        f"[{_literals(field['holding'])}])))"
        for field in known.fields.values()
        if "holding" in field
    )


def _of_names(known: Tables) -> str:
    """What the name of a span says, each as an array of a key and a value, or of nothing."""
    return "".join(
        f"if(startsWith(SpanName, {_quote(begin)}) AND startsWith(ScopeName, {_quote(scope)}), "
        f"[({_quote(key)}, substring(SpanName, {len(begin) + 1}))], []),"
        for key, scope, begin in known.by_name
    )


def _beginnings(known: Tables) -> list[str]:
    """How keys begin that a pattern may match: few do, and comparing beginnings is cheap."""
    return sorted(set(map(_beginning, known.key_patterns)))


def _any_of(conditions: Iterable[str]) -> str:
    return " OR ".join(conditions)


def _literals(texts: Iterable[str]) -> str:
    return ", ".join(map(_quote, texts))


@cache
def _template() -> str:
    """The SELECT with names in the place of values, without the comments above it."""
    text = (resources.folder("clickhouse") / "dialects" / "facts.sql").read_text()
    return text[text.index("\nSELECT") + 1 :].rstrip()


def _beginning(pattern: str) -> str:
    """The literal text that every match of a pattern starts with."""
    found = re.match(r"\^((?:\\\.|\w)+)", pattern)
    return found[1].replace("\\.", ".") if found else ""


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def main() -> None:
    """Writes the view's file."""
    file = resources.folder("clickhouse") / "views" / "genai_spans_mv.sql"
    before, text = file.read_text(), view_sql()
    file.write_text(text)
    print(f"{file}: {'as before' if text == before else 'written; restart `spanledger up` to use it'}")


if __name__ == "__main__":
    main()
