"""One span being read: which of its facts says what.

The tables of clickhouse/dialects are compiled once (`Lexicon`); which keys of a span matter is worked out once per
distinct set of keys, because an instrumentation writes the same keys for every span of a kind.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import orjson

from spanledger.dialects import shapes
from spanledger.dialects.objects import Facts, ObjectFacts
from spanledger.dialects.shapes import SHAPE
from spanledger.dialects.tables import EVENT, RESOURCE, STATUS_MESSAGE, Tables, tables
from spanledger.dialects.values import as_list, as_object, host, member, parts, quoted_member, unquoted

CALL_ROLES = frozenset({"inference", "embedding", "rerank"})
_OPENLIT_NAME = re.compile(r"(chat|text_completion|embeddings) .")
_LAST = 1_000_000
# Facts of which every span has its own, beside those that stand for a moving field.
_MOVING_FACTS = {"output.id", "output.langchain_id"} | {
    f"{name}.{fact}" for name in ("usage", "output.usage") for fact in ("total", "raw_cache", "google", "calls")
}
# Words for what a span does that is no call, whatever model it names.
_NO_CALL = re.compile(
    r"agent|tool|workflow|chain|step|task|graph|memor|retriev|guardrail|evaluat|session|thread|create|list|delete"
    r"|upload|file|batch|chunk|run\b"
)
_COUNTS_TOKENS = re.compile(r"count_?tokens|compute_?tokens|input_?tokens\b|token_?count(?:er|ing)?\b")
_SEARCHED: tuple[str, ...] = ("output", "provider_metadata", "metadata")  # fields whose texts may hold usage
_OWNED = ("model", "modelVersion", "model_version", "model_name", "modelId")
_OTHERS_USAGE = frozenset({"chain", "agent", "workflow"})  # roles of spans that may tell of several calls at once
_CALLS = re.compile("successful_requests|num_requests|llm_requests|request_count|total_requests")


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What a set of keys comes down to: positions of the values that count, a field's best key first come.

    `still`: fields that spans of one kind share, `moving`: those of which every span has its own, and nothing but a
    figure or id hangs on them; `texts`: those that hold more facts inside. `sort`: a number for all that
    a kind knows of a shape.
    """

    still: tuple[tuple[str, int], ...]
    moving: tuple[tuple[str, int], ...]
    texts: tuple[tuple[str, int], ...]
    quoted: tuple[str, ...]
    events: tuple[tuple[str, int], ...]
    moving_events: tuple[tuple[str, int], ...]
    tools: tuple[int, ...]
    keys: frozenset[str]
    objects: frozenset[str]
    counts: tuple[str, ...]
    is_genai: bool
    positions: tuple[int, ...]  # of the values that spans of a kind share
    its_own: tuple[int, ...]  # of moving values and texts
    shaped: tuple[tuple[str, int], ...]  # values that no table names, kept for their shape
    sort: int


class Lexicon:
    """The tables, ready to be asked."""

    def __init__(self, known: Tables) -> None:
        self.tables = known
        providers, dialects = known.providers, known.dialects
        self.aliases: dict[str, str] = providers["aliases"]
        self.frameworks = frozenset({"", *providers["frameworks"]})
        self.suffix = re.compile(r"\.(?:" + "|".join(providers["api_suffixes"]) + ")$")
        self.nameless = re.compile(providers["nameless_hosts"])
        self.image_models = re.compile(providers["image_models"])
        self.makes_images = lru_cache(maxsize=10_000)(lambda model: self.image_models.search(model) is not None)
        self.finish: dict[str, str] = dialects["finish_reasons"]
        self.sets = {
            name: frozenset(v) for name, v in dialects.items() if v and isinstance(v, list) and isinstance(v[0], str)
        }
        self.kinds = [
            (f"kind_{n}", {str(w): tuple(m) for w, m in kind.get("words", {}).items()}, tuple(kind.get("any", ())))
            for n, kind in enumerate(known.kinds)
        ]
        self.objects = {name: str(spec["text"]) for name, spec in known.objects.items()}
        self.texts = frozenset({*self.objects.values(), "output_messages", "tool_calls"})
        self.inside = {n: ObjectFacts(known, n) for n, spec in known.objects.items() if not spec.get("python")}
        self.fields_of: dict[tuple[str, str], list[tuple[str, int]]] = {}  # object and fact → fields and their ranks
        for field, places in known.inside.items():
            for rank, place in enumerate(places):
                self.fields_of.setdefault(place, []).append((field, rank))
        self.moving_facts = {f"{n}.{f}" for field in known.moving for n, f in known.inside.get(field, ())}
        self.moving_facts |= _MOVING_FACTS
        # What a kind asks of moving fields: whether they are there.
        self._sorts: dict[tuple[Any, ...], int] = {}
        self.asked = frozenset({"usage_object", "input_tokens", "output_tokens", "response_id"}) | {
            case[word]
            for cases in dialects.values()
            if isinstance(cases, list)
            for case in cases
            if isinstance(case, dict)
            for word in ("with", "without")
            if word in case
        }
        self.shape = lru_cache(maxsize=20_000)(self._shape)
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
        shaped: list[tuple[str, int]] = []
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
            if not of_resource:
                own.add(key)
                if field == "tool_requested":
                    tools.append(position)
        fields = [(field, position) for field, (_, position) in best.items()]
        fields += [(field, position) for field, (_, position) in shared.items() if field not in best]
        fields.sort()
        quoted = tuple(field for field, position in fields if field in best and self._is_quoted(field, keys[position]))
        moving = tuple(pair for pair in fields if pair[0] in self.tables.moving)
        texts = tuple(pair for pair in fields if pair[0] in self.texts)
        still = tuple(pair for pair in fields if pair[0] not in self.tables.moving and pair[0] not in self.texts)
        moving_events = tuple(pair for pair in events if pair[0] == EVENT + "first_token_ns")
        events = [pair for pair in events if pair not in moving_events]
        present = {*best, *shared}
        objects = frozenset(name for name, text in self.objects.items() if text in present)
        is_genai = any(field not in self.tables.common for field in present)
        sort = (
            tuple(field for field, _ in (*still, *texts)),
            *(quoted, tuple(key for key, _ in (*events, *moving_events)), len(tools)),
            *(self.asked & present, objects, is_genai, bool(own)),
        )
        return Shape(
            still=still,
            moving=moving,
            texts=texts,
            quoted=quoted,
            events=tuple(events),
            moving_events=moving_events,
            tools=tuple(tools),
            keys=frozenset(own),
            objects=objects,
            counts=tuple(name for name in self.tables.counts if objects or name in present),
            is_genai=is_genai,
            positions=(*(position for _, position in (*still, *events)), *tools),
            its_own=tuple(position for _, position in (*moving, *texts)),
            shaped=tuple(shaped),
            sort=self._sorts.setdefault(sort, len(self._sorts)),
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
        self.scope = scope
        self.name = name
        self.base = -1
        self.raw: dict[str, str] = {}
        self.events: dict[str, str] = {}
        self._facts: dict[str, Facts] = {}
        self._filled: dict[str, str] | None = None
        self._cases: dict[tuple[str, str], bool] = {}
        self._still = {field: values[position] for field, position in shape.still}
        self._still_events = {key: values[position] for key, position in shape.events}
        for field in shape.quoted:
            if field in self._still:
                self._still[field] = unquoted(self._still[field])
        self._take(shape, values)
        self.tools_asked = [values[position] for position in shape.tools]
        self.by_shape = shape.shaped != () and self._take_shaped(shape, values)
        self.is_genai = shape.is_genai or self.by_shape or self.scope.startswith("openlit.")
        if not self.is_genai:
            self.dialect, self.is_named, self.role, self.operation, self.is_call = "", False, "", "", False
            return
        self.dialect = by.dialect_of(self.scope, shape.keys)
        # OpenLIT sets no attribute on some calls that failed; the span is named "chat <model>".
        self.is_named = not shape.keys and bool(_OPENLIT_NAME.match(self.name))
        self.role, self.operation = self._kind()
        self.is_call = self.role in CALL_ROLES

    def without_values(self, base: int) -> "Reading":
        """What `again` needs of it; `base`: a number that is its own."""
        self.base = base
        self.raw, self.events, self._facts = {}, {}, {}
        return self

    def again(self, shape: Shape, values: Sequence[str]) -> "Reading":
        """The same for a span that has its own moving values and texts."""
        other = object.__new__(Reading)
        other.__dict__.update(self.__dict__)
        other._take(shape, values)
        return other

    def _take(self, shape: Shape, values: Sequence[str]) -> None:
        self.raw = self._still.copy()
        for field, position in shape.moving:
            self.raw[field] = values[position]
        for field, position in shape.texts:
            self.raw[field] = values[position]
        for field in shape.quoted:
            if field not in self._still:
                self.raw[field] = unquoted(self.raw[field])
        self.events = self._still_events
        if shape.moving_events:
            self.events = self.events | {key: values[position] for key, position in shape.moving_events}
        self.present = shape.objects
        self.counts = shape.counts  # those that can be there
        self._facts = {}
        self._filled = None
        self._cases = {}

    def _take_shaped(self, shape: Shape, values: Sequence[str]) -> bool:
        """Takes usage from values that no table names; whether there was any. Messages on their way through a system
        carry the usage of calls told elsewhere: of spans that do something else, and of those that name no model, it is
        not taken."""
        known = self._known_meaning()
        if known is not None and known[0] not in CALL_ROLES:
            return False
        found = shapes.find({key: values[position] for key, position in shape.shaped})
        if found is None or (known is None and not shape.is_genai and not any(n in found.owner for n in _OWNED)):
            return False
        return self._take_found(found)

    def _take_found(self, found: shapes.Found | None) -> bool:
        """Takes usage that was found by its shape as if it stood in its place; whether there was any."""
        if found is None:
            return False
        usage = {key: value for key, value in found.usage.items() if value is not None}
        owner = {name: said for name, said in found.owner.items() if isinstance(said, str | int | float)}
        if owner and "output" not in self.raw:
            self.raw["output"] = orjson.dumps(owner | {"usage": usage}, default=str).decode()
            self.present = self.present | {"output"}
        else:
            self.raw["usage_object"] = orjson.dumps(usage, default=str).decode()
            self.present = self.present | {"usage"}
            if owner:
                self.raw.setdefault("response_model", next((str(owner[n]) for n in _OWNED if n in owner), ""))
        self.counts = tuple(self.by.tables.counts)
        self._facts, self._filled, self._cases = {}, None, {}
        return True

    def searched(self) -> bool:
        """Looks for usage by its shape in the texts of a call that told none where the tables look for it; whether
        any was found."""
        if not self.is_call or self.by_shape or self.x("input_tokens") or self.x("output_tokens"):
            return False
        texts = {name: self.raw[name] for name in _SEARCHED if name in self.raw}
        if not any(map(shapes.mentions_usage, texts.values())):
            return False
        self.by_shape = self._take_found(shapes.find(texts))
        return self.by_shape

    def told(self) -> tuple[Any, ...]:
        """What the texts of a span say that is no figure or id, and which moving fields they fill."""
        if not self.present and "output_messages" not in self.raw and "tool_calls" not in self.raw:
            return ()
        moving = self.by.moving_facts
        facts = [
            (name, fact, text)
            for name in self.present
            for fact, text in self._facts_of(name).items()
            if f"{name}.{fact}" not in moving
        ]
        filled = tuple([field for field in self.by.asked if self.x(field)]) if self.present else ()
        return (*facts, filled, *(self.tools_in_texts() if self.is_call else ()))

    def tools_in_texts(self) -> list[str]:
        """The tools that a model asked for in its answer's own text."""
        found: list[Any] = []
        messages = self.r("output_messages")
        if "tool_call" in messages:
            found += [
                part.get("name")
                for message in as_list(messages)
                for part in parts(message)
                if isinstance(part, dict) and part.get("type") == "tool_call"
            ]
        for asked in as_list(self.r("tool_calls")):
            if isinstance(asked, dict):
                function = asked.get("function")
                found.append(asked.get("toolName") or asked.get("name") or member(function, "name"))
        return [name for name in found if name and isinstance(name, str)]

    def _kind(self) -> tuple[str, str]:
        role, operation = self._meaning()
        if role in CALL_ROLES and (_COUNTS_TOKENS.search(self.name.lower()) or _COUNTS_TOKENS.search(self._doing())):
            return "other", "count_tokens"  # asks how many tokens a text has; answers nothing and costs nothing
        return role, operation

    def _known_meaning(self) -> tuple[str, str] | None:
        """Role and operation by the words of the vocabularies."""
        for field, words, any_word in self.by.kinds:
            if value := self.raw.get(field):
                meaning = any_word or words.get(unquoted(value).lower())
                if meaning:
                    return meaning[0], meaning[1]
        return None

    def _meaning(self) -> tuple[str, str]:
        if known := self._known_meaning():
            return known
        has_usage = bool(self.r("usage_object")) or self.by_shape
        if self.name == "raw_gen_ai_request":
            # LiteLLM's inner span: the provider's own words about the call in litellm_request around it.
            if not self.r("response_id") and not has_usage:
                return "other", "raw"
            return ("embedding", "embeddings") if self.r("object_kind") == "list" else ("inference", "chat")
        if has_usage or self.r("input_tokens") or self.r("output_tokens") or self._is_unknown_call():
            is_embedding = "embed" in self._doing() and not self.r("output_tokens")
            return ("embedding", "embeddings") if is_embedding else ("inference", "chat")
        if self.is_named:
            return ("embedding", "embeddings") if self.name.startswith("emb") else ("inference", "chat")
        return "other", ""

    def _doing(self) -> str:
        """The span's own words for what it does, in lower case: an operation of any vocabulary, else its name."""
        said = (self.raw.get(field, "") for field, _, _ in self.by.kinds)
        return next((unquoted(word).lower() for word in said if word), self.name.lower())

    def _is_unknown_call(self) -> bool:
        """Whether a model and a provider are named for something that no vocabulary knows, and that sounds like a
        call."""
        return (
            any(self.r(name) for name in ("request_model", "model_said", "response_model"))
            and any(self.r(name) for name in ("provider", "provider_openinference", "system_openinference"))
            and not _NO_CALL.search(self._doing())
        )

    def r(self, field: str) -> str:
        """The first value under the keys of a field, '' for none."""
        return self.raw.get(field, "")

    def x(self, field: str) -> str:
        """The same, else what stands inside a value."""
        if value := self.raw.get(field, ""):
            return value
        if not self.present:
            return ""
        if self._filled is None:
            self._filled = self._fill()
        return self._filled.get(field, "")

    def _fill(self) -> dict[str, str]:
        """What stands inside values, by the field that it fills where nothing better is there."""
        best: dict[str, tuple[int, str]] = {}
        for name in self.present:
            for fact, text in self._facts_of(name).items():
                for field, rank in self.by.fields_of.get((name, fact), ()):
                    if field not in best or rank < best[field][0]:
                        best[field] = (rank, text)
        return {field: text for field, (_, text) in best.items()}

    def fact(self, name: str, fact: str) -> str:
        """The first member of an object of objects.yaml that says this fact, '' for none."""
        if name not in self.present:
            return ""
        return self._facts_of(name).get(fact, "")

    def _facts_of(self, name: str) -> Facts:
        found = self._facts.get(name)
        if found is None:
            found = self._facts[name] = self._read(name) if self._is_worth_reading(name) else {}
        return found

    def _read(self, name: str) -> Facts:
        text = self.raw[self.by.objects[name]]
        known = self.by.inside.get(name)
        if known is not None:
            value = as_object(text)
            return {} if value is None else known.read(value)
        facts = self.by.tables.objects[name]["facts"]
        return {fact: said for fact, names in facts.items() if (said := quoted_member(text, tuple(names)))}

    def _is_worth_reading(self, name: str) -> bool:
        if name == "invocation":
            return self.is_call
        if name == "output":  # answers may be long, embeddings' most of all
            if self.is_call:
                return self.role == "inference" or not (self.r("input_tokens") or self.r("usage_object"))
            return self.by_shape or (self.role in _OTHERS_USAGE and _CALLS.search(self.raw["output"]) is not None)
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
