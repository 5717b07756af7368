"""One span being read: which of its facts says what.

The tables of clickhouse/dialects are compiled once (`Lexicon`); which keys of a span matter is worked out once per
distinct set of keys, because an instrumentation writes the same keys for every span of a kind.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from spanledger.dialects.tables import EVENT, RESOURCE, STATUS_MESSAGE, Tables, tables
from spanledger.dialects.values import as_object, at, host, member, quoted_member, unquoted

CALL_ROLES = frozenset({"inference", "embedding", "rerank"})
_OPENLIT_NAME = re.compile(r"(chat|text_completion|embeddings) .")
_LAST = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What a set of keys comes down to: positions of the values that count, a field's best key first come.

    `still`: positions of values that spans of one kind share; `moving`: fields and events of which every span has its
    own, and nothing but a figure or id hangs on them. `is_shared`: nothing else is in these keys.
    """

    fields: tuple[tuple[str, int], ...]
    quoted: tuple[str, ...]
    resource: tuple[tuple[str, int], ...]
    events: tuple[tuple[str, int], ...]
    tools: tuple[int, ...]
    keys: frozenset[str]
    objects: frozenset[str]
    counts: tuple[str, ...]
    is_genai: bool
    still: tuple[int, ...]
    moving: tuple[tuple[str, int], ...]
    moving_events: tuple[tuple[str, int], ...]
    is_shared: bool


class Lexicon:
    """The tables, ready to be asked."""

    def __init__(self, known: Tables) -> None:
        self.tables = known
        providers, dialects = known.providers, known.dialects
        self.aliases: dict[str, str] = providers["aliases"]
        self.frameworks = frozenset({"", *providers["frameworks"]})
        self.suffix = re.compile(r"\.(?:" + "|".join(providers["api_suffixes"]) + ")$")
        self.nameless = re.compile(providers["nameless_hosts"])
        self.finish: dict[str, str] = dialects["finish_reasons"]
        self.sets = {
            name: frozenset(v) for name, v in dialects.items() if v and isinstance(v, list) and isinstance(v[0], str)
        }
        self.kinds = [
            (f"kind_{n}", {str(w): tuple(m) for w, m in kind.get("words", {}).items()}, tuple(kind.get("any", ())))
            for n, kind in enumerate(known.kinds)
        ]
        self.objects = {name: str(spec["text"]) for name, spec in known.objects.items()}
        self.shape = lru_cache(maxsize=10_000)(self._shape)
        self.host_of = lru_cache(maxsize=10_000)(host)
        self.provider_of_host = lru_cache(maxsize=10_000)(self._provider_of_host)
        self.family = lru_cache(maxsize=10_000)(self._family)
        self.dialect_of = lru_cache(maxsize=10_000)(self._dialect_of)

    def alias(self, word: str) -> str:
        """The canonical name of a provider."""
        return self.aliases.get(word) or ("gcp.vertex_ai" if word.startswith("vertex_ai-") else word)

    def _provider_of_host(self, address: str) -> str:
        if listed := self.tables.providers["hosts"].get(address, ""):
            return str(listed)
        patterns: dict[str, str] = self.tables.providers["host_patterns"]
        return next((name for pattern, name in patterns.items() if re.search(pattern, address)), "")

    def _family(self, model: str) -> str:
        families: dict[str, str] = self.tables.providers["model_families"]
        return next((name for pattern, name in families.items() if re.search(pattern, model)), "")

    def _dialect_of(self, scope: str, keys: frozenset[str]) -> str:
        for dialect in self.tables.dialects["dialects"]:
            if scope.startswith(tuple(dialect.get("scope", ()))) or not keys.isdisjoint(dialect.get("any", ())):
                return str(dialect["name"])
        return ""

    def _shape(self, keys: tuple[str, ...]) -> Shape:
        best: dict[str, tuple[int, int]] = {}  # field → rank and position
        shared: dict[str, tuple[int, int]] = {}
        events: list[tuple[str, int]] = []
        tools: list[int] = []
        own: set[str] = set()
        for position, key in enumerate(keys):
            if key.startswith(EVENT) or key == STATUS_MESSAGE:
                events.append((key, position))
                continue
            of_resource = key.startswith(RESOURCE)
            place = self.tables.place(key[len(RESOURCE) :] if of_resource else key)
            if place is None or (of_resource and place[0] not in self.tables.resource_fields):
                continue
            field, rank = place
            found = shared if of_resource else best
            if rank < found.get(field, (_LAST, 0))[0]:
                found[field] = (rank, position)
            if not of_resource:
                own.add(key)
                if field == "tool_requested":
                    tools.append(position)
        fields = [(field, position) for field, (_, position) in best.items()]
        resource = [(field, position) for field, (_, position) in shared.items() if field not in best]
        present = {*best, *shared}
        quoted = tuple(field for field, position in fields if self._is_quoted(field, keys[position]))
        moving = [(field, position) for field, position in (*fields, *resource) if field in self.tables.moving]
        moving_events = [(key, position) for key, position in events if key == EVENT + "first_token_ns"]
        its_own = {position for _, position in (*moving, *moving_events)}
        positions = [*tools, *(position for _, position in (*fields, *resource, *events))]
        objects = frozenset(name for name, text in self.objects.items() if text in present)
        return Shape(
            fields=tuple(fields),
            quoted=quoted,
            resource=tuple(resource),
            events=tuple(events),
            tools=tuple(tools),
            keys=frozenset(own),
            objects=objects,
            counts=tuple(name for name in self.tables.counts if objects or name in present),
            is_genai=any(field not in self.tables.common for field in present),
            still=tuple(position for position in positions if position not in its_own),
            moving=tuple(moving),
            moving_events=tuple(moving_events),
            is_shared=self.tables.telling.isdisjoint(present) and not any(f in self.tables.moving for f in quoted),
        )

    def _is_quoted(self, field: str, key: str) -> bool:
        return key.startswith(self.tables.json_encoded) and field not in ("output", "usage_object")


@cache
def lexicon() -> Lexicon:
    """By the tables of this installation."""
    return Lexicon(tables())


class Reading:
    """The facts of one span by field, and what kind of span it is."""

    def __init__(self, by: Lexicon, shape: Shape, scope: str, name: str, values: Sequence[str]) -> None:
        self.by = by
        self.shape = shape
        self.scope = scope
        self.name = name
        self.raw = {field: values[position] for field, position in shape.fields}
        for field in shape.quoted:
            self.raw[field] = unquoted(self.raw[field])
        for field, position in shape.resource:
            self.raw[field] = values[position]
        self.events = {key: values[position] for key, position in shape.events}
        self.tools_asked = [values[position] for position in shape.tools]
        self.present = shape.objects
        self.counts = shape.counts  # those that can be there
        self._read: dict[str, dict[str, Any] | None] = {}
        self._cases: dict[tuple[str, str], bool] = {}
        self.is_genai = shape.is_genai or self.scope.startswith("openlit.")
        if not self.is_genai:
            self.dialect, self.is_named, self.role, self.operation, self.is_call = "", False, "", "", False
            return
        self.dialect = by.dialect_of(self.scope, shape.keys)
        # OpenLIT sets no attribute on some calls that failed; the span is named "chat <model>".
        self.is_named = not shape.keys and bool(_OPENLIT_NAME.match(self.name))
        self.role, self.operation = self._kind()
        self.is_call = self.role in CALL_ROLES

    def again(self, values: Sequence[str]) -> "Reading":
        """The same for a span that differs in nothing but its moving values, none of which is empty."""
        shape = self.shape
        other = object.__new__(Reading)
        other.__dict__.update(self.__dict__)
        other.raw = self.raw | {field: values[position] for field, position in shape.moving}
        if shape.moving_events:
            other.events = self.events | {key: values[position] for key, position in shape.moving_events}
        return other

    def _kind(self) -> tuple[str, str]:
        for field, words, any_word in self.by.kinds:
            if value := self.raw.get(field):
                meaning = any_word or words.get(unquoted(value).lower())
                if meaning:
                    return meaning[0], meaning[1]
        has_usage = bool(self.r("usage_object"))
        if self.name == "raw_gen_ai_request":
            # LiteLLM's inner span: the provider's own words about the call in litellm_request around it.
            if not self.r("response_id") and not has_usage:
                return "other", "raw"
            return ("embedding", "embeddings") if self.r("object_kind") == "list" else ("inference", "chat")
        if has_usage or self.r("input_tokens") or self.r("output_tokens"):
            return "inference", "chat"
        if self.is_named:
            return ("embedding", "embeddings") if self.name.startswith("emb") else ("inference", "chat")
        return "other", ""

    def r(self, field: str) -> str:
        """The first value under the keys of a field, '' for none."""
        return self.raw.get(field, "")

    def x(self, field: str) -> str:
        """The same, else what stands inside a value."""
        if value := self.raw.get(field, ""):
            return value
        if self.present:
            for name, fact in self.by.tables.inside.get(field, ()):
                if name in self.present and (value := self.fact(name, fact)):
                    return value
        return ""

    def fact(self, name: str, fact: str) -> str:
        """The first member of an object of objects.yaml that says this fact, '' for none."""
        if name not in self.present:
            return ""
        spec = self.by.tables.objects[name]
        if spec.get("python"):
            return quoted_member(self.raw[spec["text"]], tuple(spec["facts"][fact]))
        value = self._object(name)
        if value is None:
            return ""
        inner, _, rest = fact.partition(".")
        if not rest:
            return next((text for path in spec["facts"][fact] if (text := member(value, path))), "")
        paths = self.by.tables.objects[inner]["facts"][rest]
        roots = [found for root in spec["embed"][inner] if isinstance(found := at(value, root), dict)]
        return next((text for root in roots for path in paths if (text := member(root, path))), "")

    def _object(self, name: str) -> dict[str, Any] | None:
        if name not in self._read:
            self._read[name] = as_object(self.raw[self.by.objects[name]]) if self._is_worth_reading(name) else None
        return self._read[name]

    def _is_worth_reading(self, name: str) -> bool:
        if name == "invocation":
            return self.is_call
        if name == "output":  # answers may be long, embeddings' most of all
            return self.role == "inference" or (
                self.is_call and not self.r("input_tokens") and not self.r("usage_object")
            )
        return True

    def case(self, rule: str, provider: str = "") -> bool:
        """Whether one of the cases of a rule in dialects.yaml holds."""
        known = self._cases.get((rule, provider))
        if known is None:
            known = self._cases[rule, provider] = any(self._holds(c, provider) for c in self.by.tables.dialects[rule])
        return known

    def _holds(self, case: dict[str, Any], provider: str) -> bool:
        return (
            ("dialect" not in case or self.dialect in case["dialect"])
            and ("provider" not in case or provider in case["provider"])
            and ("scope" not in case or self.scope.startswith(tuple(case["scope"])))
            and ("with" not in case or self.x(case["with"]) != "")
            and ("without" not in case or self.x(case["without"]) == "")
        )
