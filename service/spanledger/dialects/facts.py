"""One span being interpreted: which of its attributes supplies which fact."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from spanledger.dialects import shapes, words
from spanledger.dialects.lexicon import SHORT_TEXT, Lexicon, Shape
from spanledger.dialects.objects import Facts
from spanledger.dialects.values import as_list, as_object, member, parts, unquoted

CALL_ROLES = frozenset({"inference", "embedding", "rerank"})
_OPENLIT_NAME = re.compile(r"(chat|text_completion|embeddings) .")
# Operations that are not calls, even if the span names a model.
_NO_CALL = re.compile(
    r"agent|tool|workflow|chain|step|task|graph|memor|retriev|guardrail|evaluat|session|thread|create|list|delete"
    r"|upload|file|batch|chunk|search|cancel|run\b"
)
# What spans of calls are called, where a model is all that they name.
_SOUNDS_LIKE_CALL = re.compile(r"llm|chat|complet|generat|infer|invoke|predict|respon|answer|ask|gpt|claude|gemini")
# Operations that are calls although they match the pattern above.
_SURELY_CALL = re.compile(
    r"(?:completions?|(?<!threads\.)messages?|responses?|images?|speech|embeddings?)[._ ]create|generate"
)
_RUNS_TOOL = re.compile(r"tool|function|execut|invok|call|run\b")
# Spans about a tool that do not run it.
_ABOUT_TOOL = re.compile(
    r"list|regist|schema|defin|select|choos|choice|decision|approv|permission|valid|block|schedul|discover|search|load"
)
_LIMIT = re.compile(r"max|limit|budget|quota|window|remaining", re.IGNORECASE)  # keys of limits, which are no usage
_COUNTS_TOKENS = re.compile(
    r"(?:count|compute)[ _.:-]?tokens|(?:^|[./:])input_?tokens\b|token[ _.-]?count(?:er|ing)?\b|num_tokens|\btokenize\b"
)
_MODELS = ("request_model", "model_said", "response_model")
_SEARCHED: tuple[str, ...] = ("output", "provider_metadata", "metadata")  # fields whose texts may hold usage
_OF_CALLS = frozenset({"invocation", "request", "output"})  # objects that are read of calls, mostly
_OTHERS_USAGE = frozenset({"chain", "agent", "workflow"})  # roles of spans that may report several calls at once
_CALLS = re.compile(
    r"""successful_?requests|num_requests|llm_requests|request_count|total_requests|\brequests(?=['"]?\s*[:=]|$)""",
    re.IGNORECASE,
)


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
        self._constants = {field: values[position] for field, position in shape.constant_positions}
        self._constant_events = {key: values[position] for key, position in shape.events}
        for field in shape.quoted:
            if field in self._constants:
                self._constants[field] = unquoted(self._constants[field])
        self._take(shape, values)
        self.requested_tools = [values[position] for position in shape.tools]
        self.has_counts = any(values[at].isdecimal() and not _LIMIT.search(key) for key, at in shape.shaped)
        self.by_shape = shape.shaped != () and self._take_shaped(shape, values)
        self.is_genai = shape.is_genai or self.by_shape or self.scope.startswith("openlit.")
        self.is_genai = self.is_genai or (self.has_counts and self._counts_for_model(shape, values))
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
        """The same for a span that has its own ids, figures and texts."""
        other = object.__new__(Reading)
        other.__dict__.update(self.__dict__)
        other._take(shape, values)
        return other

    def _take(self, shape: Shape, values: Sequence[str]) -> None:
        self.raw = self._constants.copy()
        for field, position in shape.per_span_positions:
            self.raw[field] = values[position]
        if len(shape.conversations) > 1:
            self.raw["conversation_id"] = values[shape.conversation_at(values)]
        for field, position in shape.texts:
            self.raw[field] = values[position]
        for field in shape.quoted:
            if field not in self._constants:
                self.raw[field] = unquoted(self.raw[field])
        self.events = self._constant_events
        if shape.per_span_events:
            self.events = self.events | {key: values[position] for key, position in shape.per_span_events}
        self.present = shape.objects
        self.counts = shape.counts  # those that can be there
        self._facts = {}
        self._filled = None
        self._cases = {}

    def _take_shaped(self, shape: Shape, values: Sequence[str]) -> bool:
        """Takes usage from attributes that no table names; whether there was any. Messages that are passed on carry the
        usage of calls that other spans report. Therefore spans with another role, or without a model, are skipped."""
        known = self._known_meaning()
        is_sum = known is not None and known[0] in _OTHERS_USAGE  # counts if it states the number of calls
        if known is not None and known[0] not in CALL_ROLES and not is_sum:
            return False
        is_embedding = known[0] == "embedding" if known is not None else "embed" in self._doing()
        found = shapes.find({key: values[position] for key, position in shape.shaped}, is_embedding)
        if (
            found is None
            or (is_sum and not any(map(_CALLS.fullmatch, found.usage)))
            or (known is None and not shape.is_genai and not self._names_model(found))
        ):
            return False
        return self._take_found(found)

    def _names_model(self, found: shapes.Found) -> bool:
        return any(map(found.owner.get, shapes.MODEL_WORDS)) or any(map(self.own, _MODELS))

    def _counts_for_model(self, shape: Shape, values: Sequence[str]) -> bool:
        """Whether a span that nothing else marks names a model and a count of its tokens, be it the total alone."""
        facts = {key: values[position] for key, position in shape.shaped}
        if not any(text.isdecimal() and words.is_count_key(key) for key, text in facts.items()):
            return False
        if not any(map(self.own, _MODELS)) and (model := shapes.model_of(facts)):
            self.raw["response_model"] = model
        return any(map(self.own, _MODELS))

    def _take_found(self, found: shapes.Found | None) -> bool:
        """Treats usage that was found by its shape like usage in its usual attribute; whether there was any."""
        if found is None:
            return False
        if found.is_estimate:
            self.raw.setdefault("estimated", "true")
        usage = {key: value for key, value in found.usage.items() if value is not None}
        owner = {name: value for name, value in found.owner.items() if isinstance(value, str | int | float)}
        if owner and "output" not in self.raw:
            self.raw["output"] = orjson.dumps(owner | {"usage": usage}, default=str).decode()
            self.present = self.present | {"output"}
        else:
            self.raw["usage_object"] = orjson.dumps(usage, default=str).decode()
            self.present = self.present | {"usage"}
            if owner:
                self.raw.setdefault(
                    "response_model", next((str(owner[n]) for n in shapes.MODEL_WORDS if n in owner), "")
                )
        self.counts = tuple(self.by.tables.counts)
        self._facts, self._filled, self._cases = {}, None, {}
        return True

    def searched(self) -> bool:
        """Searches the texts of a call for usage by its shape, if the tables found none; whether any was found. Of a
        step, those that state the number of its calls."""
        if self.by_shape or not self.may_be_searched():
            return False
        texts = {name: self.raw[name] for name in _SEARCHED if name in self.raw}
        if not self.is_call:
            texts = {name: text for name, text in texts.items() if _tells_calls(text)}
        if not any(map(shapes.mentions_usage, texts.values())):
            return False
        found = shapes.find(texts, self.role == "embedding")
        if found is None or not (self.is_call or any(map(_CALLS.fullmatch, found.usage))):
            return False
        self.by_shape = self._take_found(found)
        return self.by_shape

    def by_its_shape(self) -> tuple[Any, ...]:
        """What usage that is found by its shape makes of a span, beside the facts in texts."""
        words = [self.raw.get(field, "") for field in ("response_model", "estimated")]
        return (*words, *self.present, self.by_shape, self.is_genai, self.role, self.operation)

    def may_be_searched(self) -> bool:
        """Whether usage may stand in texts by its shape alone."""
        return (self.is_call or self.role in _OTHERS_USAGE) and not (
            self.own_or_nested("input_tokens") or self.own_or_nested("output_tokens")
        )

    def text_facts(self) -> tuple[Any, ...]:
        """The facts in the texts of a span; for figures and ids only whether they are present."""
        if not self.present and "output_messages" not in self.raw and "tool_calls" not in self.raw:
            return ()
        per_span = self.by.per_span_within
        facts = [
            (name, *found, *[text for fact, text in found.items() if fact not in per_span[name]])
            for name in self.present
            if (found := self._facts_of(name))
        ]
        return (*facts, *self.tools_in_texts()) if self.is_call else tuple(facts)

    def silent_without(self) -> dict[str, str] | None:
        """The texts of a span of this kind, each with the word (in any case) without which it holds no facts; None
        where facts may stand in texts without such a word."""
        if self.is_call:
            return None if self.present else {"output_messages": "tool_call", "tool_calls": ""}
        if not self.present <= _OF_CALLS:
            return None
        return {"output": "request"} if "output" in self.present and self.role in _OTHERS_USAGE else {}

    def inside(self) -> dict[str, str]:
        """Facts inside values, by the field that they fill if no attribute does."""
        if self._filled is None:
            self._filled = self._fill() if self.present else {}
        return self._filled

    def tools_in_texts(self) -> list[str]:
        """The tools that the model requested in the text of its answer."""
        found: list[Any] = []
        messages = self.own("output_messages")
        if "tool_call" in messages:
            found += [
                part.get("name")
                for message in as_list(messages)
                for part in parts(message)
                if isinstance(part, dict) and part.get("type") == "tool_call"
            ]
        for call in as_list(self.own("tool_calls")):
            if isinstance(call, dict):
                function = call.get("function")
                found.append(call.get("toolName") or call.get("name") or member(function, "name"))
        return [name for name in found if name and isinstance(name, str)]

    def _kind(self) -> tuple[str, str]:
        role, operation = self._meaning()
        names = (self.name.lower(), self._doing(), self.own("http_address").lower())
        if role in CALL_ROLES and not self.own("output_tokens") and any(map(_COUNTS_TOKENS.search, names)):
            return "other", "count_tokens"  # a token-counting request: no answer, no cost
        if operation == "fetch_response" and (self.own("input_tokens") or self.own("usage_object")):
            return "inference", operation  # an answer reported again, or the only report of its call
        return role, operation

    def _known_meaning(self) -> tuple[str, str] | None:
        """Role and operation by the known vocabularies."""
        for field, known, any_word in self.by.kinds:
            if value := self.raw.get(field):
                meaning = any_word or known.get(_word(value))
                if meaning:
                    return meaning[0], meaning[1]
        return None

    def _meaning(self) -> tuple[str, str]:
        if known := self._known_meaning():
            return known
        has_usage = bool(self.own("usage_object")) or self.by_shape
        if self.name == "raw_gen_ai_request":
            # LiteLLM's inner span: the provider's own words about the call in litellm_request around it.
            if not self.own("response_id") and not has_usage:
                return "other", "raw"
            return ("embedding", "embeddings") if self.own("object_kind") == "list" else ("inference", "chat")
        if has_usage or self.own("input_tokens") or self.own("output_tokens") or self._is_unknown_call():
            is_embedding = "embed" in self._doing() and not self.own("output_tokens")
            return ("embedding", "embeddings") if is_embedding else ("inference", "chat")
        if self.is_named:
            return ("embedding", "embeddings") if self.name.startswith("emb") else ("inference", "chat")
        return ("tool", "execute_tool") if self._runs_tool() else ("other", "")

    def _runs_tool(self) -> bool:
        """Whether a span without a kind names a tool, and is called after what tools are for or after this one."""
        tool, name = self.own("tool").lower(), self.name.lower()
        if not tool:
            return False
        other_words = name.replace(tool, "")  # a tool may be called search or list_files
        return not _ABOUT_TOOL.search(other_words) and (tool in name or _RUNS_TOOL.search(name) is not None)

    def _doing(self) -> str:
        """The span's operation in lower case: of any vocabulary, else its name."""
        words = (self.raw.get(field, "") for field, _, _ in self.by.kinds)
        return next((_word(word) for word in words if word), self.name.lower())

    def _is_unknown_call(self) -> bool:
        """Whether a span of an unknown vocabulary is likely a model call: its name or type says so, it names a model,
        and it carries a provider, a cost, or token counts that no table reads."""
        doing = self._doing()
        return (
            any(map(self.own, _MODELS))
            and (
                self.has_counts
                or any(map(self.own, ("provider", "provider_openinference", "system_openinference", "cost")))
                or (
                    any(map(self.own, ("model_said", "response_model"))) and _SOUNDS_LIKE_CALL.search(doing) is not None
                )
            )
            and (not _NO_CALL.search(doing) or _SURELY_CALL.search(doing) is not None)
        )

    def own(self, field: str) -> str:
        """The first value under the keys of a field, '' for none."""
        return self.raw.get(field, "")

    def own_or_nested(self, field: str) -> str:
        """The same, else what stands inside a value."""
        if value := self.raw.get(field, ""):
            return value
        return self.inside().get(field, "") if self.present else ""

    def fill(self, places: Mapping[str, tuple[str, str]]) -> None:
        """Takes facts as what fills fields: those of the places that `places` had for a span with the same facts."""
        self._filled = {field: self._facts_of(name)[fact] for field, (name, fact) in places.items()}

    def _fill(self) -> dict[str, str]:
        return {field: self._facts_of(name)[fact] for field, (name, fact) in self.places().items()}

    def places(self) -> dict[str, tuple[str, str]]:
        """Object and fact that fill a field if no attribute does."""
        best: dict[str, tuple[int, str, str]] = {}
        fields_of = self.by.fields_of
        for name in self.present:
            for fact in self._facts_of(name):
                for field, rank in fields_of.get((name, fact), ()):
                    if field not in best or rank < best[field][0]:
                        best[field] = (rank, name, fact)
        return {field: (name, fact) for field, (_, name, fact) in best.items()}

    def alone(self, name: str) -> str:
        """The only fact that an object holds, '' where it holds several or none."""
        facts = self._facts_of(name) if name in self.present else {}
        return next(iter(facts)) if len(facts) == 1 else ""

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
        return self.by.facts_in_short(name, text) if len(text) <= SHORT_TEXT else self.by.facts_in(name, text)

    def _is_worth_reading(self, name: str) -> bool:
        if name in ("invocation", "request"):
            return self.is_call
        if name == "output":  # answers may be long, embeddings' most of all
            if self.is_call:
                return self.role == "inference" or not (self.own("input_tokens") or self.own("usage_object"))
            return self.by_shape or (self.role in _OTHERS_USAGE and _tells_calls(self.raw["output"]))
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
            and ("exact_scope" not in case or self.scope in case["exact_scope"])
            and ("word" not in case or any(word in self.own("provider").lower() for word in case["word"]))
            and ("with" not in case or self.own_or_nested(case["with"]) != "")
            and ("without" not in case or self.own_or_nested(case["without"]) == "")
        )


def _word(value: str) -> str:
    """The word for a kind: the value, or the `type` in it."""
    if value.startswith("{"):
        value = str(member(as_object(value), "type") or "")
    return unquoted(value).lower()


def _tells_calls(text: str) -> bool:
    """Whether a text may state a number of calls."""
    return "request" in text.lower() and _CALLS.search(text) is not None
