"""The tables of clickhouse/dialects, compiled: which keys of a span matter is worked out once per distinct set of keys,
because an instrumentation writes the same keys for every span of a kind.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from spanledger.dialects.objects import Facts, ObjectFacts
from spanledger.dialects.shapes import SHAPE
from spanledger.dialects.tables import EVENT, RESOURCE, STATUS_MESSAGE, Tables, tables
from spanledger.dialects.values import as_object, host, quoted_member

_LAST = 1_000_000
ANSWER = "resp_"  # the beginning of OpenAI's response ids; as a conversation id such an id changes with each turn
_CLIENT = re.compile(  # classes of clients: ChatOpenAI, WatsonxLLM, BedrockConverse
    r"(?:chat)?(.+?)(?:chatmodel|chat|llm|converse|embeddings?|responses|completions?|runtime)?$"
)
_MAKERS = ("gcp.", "azure.")  # whose endpoints have several names
SHORT_TEXT = 300  # characters of values that are the same on many spans, as parameters of a model are
# Facts that differ from span to span, beside those that fill a per-span field.
_PER_SPAN_FACTS = {("output", "id"), ("output", "langchain_id")} | {
    (name, prefix + fact)
    for name, prefix in (("usage", ""), ("output", "usage."))
    for fact in ("total", "raw_cache", "google", "calls")
}
_PER_SPAN_FACTS.add(("output", "counted"))


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What a set of keys comes down to: positions of the values that count, a field's best key first come.

    `constant_positions`: fields that spans of one kind share; `per_span_positions`: ids and figures, which differ from
    span to span; `texts`: values that hold more facts inside. `sort`: a number for everything of a shape that defines
    a kind.
    """

    constant_positions: tuple[tuple[str, int], ...]
    per_span_positions: tuple[tuple[str, int], ...]
    texts: tuple[tuple[str, int], ...]
    quoted: tuple[str, ...]
    events: tuple[tuple[str, int], ...]
    per_span_events: tuple[tuple[str, int], ...]
    tools: tuple[int, ...]
    keys: frozenset[str]
    objects: frozenset[str]
    counts: tuple[str, ...]
    is_genai: bool
    positions: tuple[int, ...]  # of the values that spans of a kind share
    its_own: tuple[int, ...]  # of ids, figures and texts
    shaped: tuple[tuple[str, int], ...]  # values that no table names, kept for their shape
    conversations: tuple[int, ...]  # of all values that may name the conversation, best first
    sort: int

    def conversation_at(self, values: Sequence[str]) -> int:
        """The position of the conversation id: the first that is not a response id."""
        ids = (position for position in self.conversations if not values[position].startswith(ANSWER))
        return next(ids, self.conversations[0])


class Lexicon:
    """The compiled tables."""

    def __init__(self, known: Tables) -> None:
        self.tables = known
        providers, dialects = known.providers, known.dialects
        self.aliases: dict[str, str] = providers["aliases"]
        self._named = frozenset(self.aliases.values()) - frozenset(providers["gateways"])
        self.frameworks = frozenset({"", *providers["frameworks"]})
        self._by_letters = {squashed(alias): name for alias, name in self.aliases.items()}
        self._patterns = [(re.compile(pattern), name) for pattern, name in providers["client_patterns"].items()]
        self.suffix = re.compile(r"\.(?:" + "|".join(providers["api_suffixes"]) + ")$")
        self.nameless_models = frozenset(providers["nameless_models"])
        self.nameless = re.compile(providers["nameless_hosts"])
        self.image_models = re.compile(providers["image_models"])
        self.makes_images = lru_cache(maxsize=10_000)(lambda model: self.image_models.search(model) is not None)
        self._finish: dict[str, str] = {squashed(word): reason for word, reason in dialects["finish_reasons"].items()}
        self.sets = {
            name: frozenset(v) for name, v in dialects.items() if v and isinstance(v, list) and isinstance(v[0], str)
        }
        self.kinds = [
            (f"kind_{n}", {str(w): tuple(m) for w, m in kind.get("words", {}).items()}, tuple(kind.get("any", ())))
            for n, kind in enumerate(known.kinds)
        ]
        self.kept_ids = re.compile("|".join(dialects["kept_ids"]))
        self.objects = {name: str(spec["text"]) for name, spec in known.objects.items()}
        self.texts = frozenset({*self.objects.values(), "output_messages", "tool_calls"})
        self.inside = {n: ObjectFacts(known, n) for n, spec in known.objects.items() if not spec.get("python")}
        self.fields_of: dict[tuple[str, str], list[tuple[str, int]]] = {}  # object and fact → fields and their ranks
        for field, places in known.inside.items():
            for rank, place in enumerate(places):
                self.fields_of.setdefault(place, []).append((field, rank))
        self.per_span_facts = {place for field in known.per_span for place in known.inside.get(field, ())}
        self.per_span_facts |= _PER_SPAN_FACTS
        self.per_span_within = {
            name: frozenset(fact for owner, fact in self.per_span_facts if owner == name) for name in self.objects
        }
        # A kind only depends on whether these fields are present.
        self._sorts: dict[tuple[Any, ...], int] = {}
        self.presence_counts = frozenset({"usage_object", "input_tokens", "output_tokens", "response_id"}) | {
            case[word]
            for cases in dialects.values()
            if isinstance(cases, list)
            for case in cases
            if isinstance(case, dict)
            for word in ("with", "without")
            if word in case
        }
        self.shape = lru_cache(maxsize=20_000)(self._shape)
        self.facts_in_short = lru_cache(maxsize=10_000)(self.facts_in)
        self.host_of = lru_cache(maxsize=10_000)(host)
        self.provider_of_host = lru_cache(maxsize=10_000)(self._provider_of_host)
        self.family = lru_cache(maxsize=10_000)(self._family)
        self.cloud = lru_cache(maxsize=10_000)(self._cloud)
        self.dialect_of = lru_cache(maxsize=10_000)(self._dialect_of)

    def facts_in(self, name: str, text: str) -> Facts:
        """The facts in the text of an object of objects.yaml. Do not modify the result."""
        known = self.inside.get(name)
        if known is not None:
            value = as_object(text)
            return {} if value is None else known.read(value)
        facts = self.tables.objects[name]["facts"]
        return {fact: member for fact, names in facts.items() if (member := quoted_member(text, tuple(names)))}

    def alias(self, word: str) -> str:
        """The canonical name of a provider: however its name is spelled, or a client's class is called after it."""
        if word in self.frameworks:
            return word
        if known := self.spelled(word) or self._of_plugin(word):
            return known
        letters = squashed(word)
        client = _CLIENT.match(letters)
        found = self._by_letters.get(client[1]) if client else None
        return found or next((name for pattern, name in self._patterns if pattern.search(letters)), word)

    def _of_plugin(self, word: str) -> str:
        """The provider of a plugin that is named as Dify does, author/plugin/provider: '' for other names."""
        names = word.split("/")
        return self.spelled(names[1]) or self.spelled(names[2]) if len(names) == 3 else ""

    def spelled(self, word: str) -> str:
        """The canonical name of a provider that is listed, however its words are put together; '' for others."""
        return self.aliases.get(word) or self._by_letters.get(squashed(word), "")

    def is_prefix(self, prefix: str, provider: str) -> bool:
        """Whether what stands before a model's name only repeats its provider."""
        named = self.spelled(prefix.lower())
        if named == provider:
            return named != ""
        return any(named.startswith(maker) and provider.startswith(maker) for maker in _MAKERS)

    def _cloud(self, model: str) -> str:
        clouds: dict[str, str] = self.tables.providers["model_clouds"]
        return next((name for pattern, name in clouds.items() if re.search(pattern, model)), "")

    def finish(self, word: str) -> str:
        """OpenAI's word for why a model stopped."""
        return self._finish.get(squashed(word), word)

    def is_provider(self, name: str) -> bool:
        """Whether a name is one of a provider, and none of a gateway in front of several."""
        return name in self._named

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
        shaped: list[tuple[str, int]] = []
        conversations: list[tuple[bool, int, int]] = []
        own: set[str] = set()
        for position, key in enumerate(keys):
            if key.startswith(SHAPE):
                shaped.append((key[len(SHAPE) :], position))
                continue
            if key == STATUS_MESSAGE or (key.startswith(EVENT) and self.tables.place(key) is None):
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
            if field == "conversation_id":
                conversations.append((of_resource, rank, position))
            if not of_resource:
                own.add(key)
                if field == "tool_requested":
                    tools.append(position)
        fields = [(field, position) for field, (_, position) in best.items()]
        fields += [(field, position) for field, (_, position) in shared.items() if field not in best]
        fields.sort()
        quoted = tuple(field for field, position in fields if field in best and self._is_quoted(field, keys[position]))
        per_span = tuple(pair for pair in fields if pair[0] in self.tables.per_span)
        texts = tuple(pair for pair in fields if pair[0] in self.texts)
        constants = tuple(pair for pair in fields if pair[0] not in self.tables.per_span and pair[0] not in self.texts)
        per_span_events = tuple(pair for pair in events if pair[0] == EVENT + "first_token_ns")
        events = [pair for pair in events if pair not in per_span_events]
        present = {*best, *shared}
        objects = frozenset(name for name, text in self.objects.items() if text in present)
        is_genai = any(field not in self.tables.common for field in present)
        sort = (
            tuple(field for field, _ in (*constants, *texts)),
            *(quoted, tuple(key for key, _ in (*events, *per_span_events)), len(tools)),
            *(self.presence_counts & present, objects, is_genai, bool(own)),
        )
        return Shape(
            constant_positions=constants,
            per_span_positions=per_span,
            texts=texts,
            quoted=quoted,
            events=tuple(events),
            per_span_events=per_span_events,
            tools=tuple(tools),
            keys=frozenset(own),
            objects=objects,
            counts=tuple(name for name in self.tables.counts if objects or name in present),
            is_genai=is_genai,
            positions=(*(position for _, position in (*constants, *events)), *tools),
            its_own=tuple(position for _, position in (*per_span, *texts)),
            shaped=tuple(shaped),
            conversations=tuple(position for _, _, position in sorted(conversations)),
            sort=self._sorts.setdefault(sort, len(self._sorts)),
        )

    def _is_quoted(self, field: str, key: str) -> bool:
        return key.startswith(self.tables.json_encoded) and field not in ("output", "usage_object")


def squashed(word: str) -> str:
    """The letters and digits of a name, in lower case."""
    return re.sub("[^a-z0-9]", "", word.lower())


@cache
def lexicon() -> Lexicon:
    """By the tables of this installation."""
    return Lexicon(tables())
