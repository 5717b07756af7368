"""Finds token usage where no table names it: usage-shaped objects in JSON, Python's or Pydantic's repr(), flat keys.

Conservative on purpose. An object counts as usage only when its members are whole numbers under the words of one
provider (OpenAI, Anthropic, Google, Bedrock, Cohere, Mistral, Ollama) for input and for output or total. When several
different usages stand in one span, only a sum of the others counts; otherwise nothing does, and the call stays
unpriced.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from spanledger.dialects.values import as_object, unquoted
from spanledger.dialects.words import (
    INPUT_WORDS,
    MAX_MODEL,
    OUTPUT_WORDS,
    TOTAL_WORDS,
    in_common_words,
    is_aside,
    names_model,
    nested,
)

SHAPE = "shape:"  # facts that the view keeps because of their shape, by their attribute key
# Attributes whose keys contain one of these hold a request, a database statement or a queue's message. The view over
# otel_traces does not keep them for the search: usage within them belongs to other calls.
REQUEST_WORDS = (
    *("db.statement", "db.query", "messaging."),
    *("input.value", "inputs", "request", "prompt", "messages", "component.input", "history", "context"),
    *("config", "setting", "limit", "budget", "quota", "content", ".text"),
)
_MIN_TEXT = 20  # characters of a value that could hold usage
MAX_TEXT = 200_000  # characters of a value that are worth searching
_MAX_DEPTH = 12
_MAX_NODES = 20_000
_MAX_LITERAL = 6_000
_MAX_LITERALS = 200  # that are looked at in one span
_WORD = re.compile("|".join((*INPUT_WORDS, *OUTPUT_WORDS)), re.IGNORECASE)
_PART_OF_WORD = re.compile("token|eval_count")
_AROUND = max(map(len, (*INPUT_WORDS, *OUTPUT_WORDS)))
_MAX_PLACES = 64  # of a text that are looked at one by one
# Counts in what other languages print: Java and Ruby `a=1`, Ruby also `"a"=>1`, PHP `[a] => 1`, Go and Rust `a: 1`.
_PAIR = re.compile(r"""\b([A-Za-z]\w*)["'\]]?\s*(?:=>|[=:])\s*(\d{1,15})(?![\w.]*\w)""")
_BARE = re.compile(r"\s*[A-Za-z][\w.]*\s*[=:]")  # how fields without a name around them begin: YAML, Pydantic's str()
# Matches the start of an object as a programming language prints it: a bracket after at most two words.
_PRINTED = re.compile(r"\W{0,8}(?:[\w.:$<>\\@]{1,60}\s{1,8})?[\w.:$<>\\@]{0,60}\s{0,8}[({\[]")
_MESSAGE_TEXT = frozenset(
    {"content", "text", "refusal"}
)  # members of a message with its text; the search for usage skips them
_BRACKETED = re.compile(r"[({\[][^(){}\[\]]*[)}\]]")
_BILLED = re.compile(r"""billed_?units["']?\s*[=:]\s*\w*$""", re.IGNORECASE)
_ENUM = re.compile(r"<[\w.]+: ([^<>]{1,80})>")
_MODEL_IN_REPR = re.compile(r"""['"]?\bmodel(?:_name|_version)?['"]?\s*[:=]\s*['"]([^'"\s]{1,100})['"]""")
MODEL_WORDS = ("model", "modelVersion", "model_version", "model_name", "modelId")
_OWNERS = (*MODEL_WORDS, "id")


_INTERACTION_WORDS = {
    "total_input_tokens": "prompt_token_count",
    "total_output_tokens": "candidates_token_count",
    "total_thought_tokens": "thoughts_token_count",
    "total_tool_use_tokens": "tool_use_prompt_token_count",
    "total_cached_tokens": "cached_content_token_count",
    "total_tokens": "total_token_count",
}
_INTERACTION = frozenset({"total_thought_tokens", "total_tool_use_tokens", "total_cached_tokens"})
_INPUT = frozenset(INPUT_WORDS)
_CAPITALISED = frozenset(word[:1].upper() + word[1:] for word in (*INPUT_WORDS, *OUTPUT_WORDS, *TOTAL_WORDS))


class _Search(NamedTuple):
    literals: Iterator[int]  # as many as may still be looked at
    input_alone: bool


class Found(NamedTuple):
    """A usage object and the object around it (model, id), which may be the usage alone. `is_estimate`: it stands under
    a key that says so."""

    usage: Mapping[str, Any]
    owner: Mapping[str, Any]
    is_estimate: bool = False


def is_usage(value: Any, input_alone: bool = False) -> bool:
    """Whether an object looks like the token usage of a call. `input_alone`: also without an output or total."""
    if not isinstance(value, Mapping) or value.keys().isdisjoint(_INPUT):
        return False
    has_input, has_output, has_total = (
        any(_is_count(value.get(word)) for word in words) for words in (INPUT_WORDS, OUTPUT_WORDS, TOTAL_WORDS)
    )
    return has_input and (has_output or has_total or input_alone)


def _is_count(value: Any) -> bool:
    if isinstance(value, str):
        return value.isdecimal()
    if isinstance(value, float):
        return value.is_integer() and value >= 0
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def mentions_usage(text: str) -> bool:
    """Whether a text is worth searching."""
    if len(text) > MAX_TEXT:
        return False
    lower = text.lower()
    # One of these stands in every word. The first place where one of them stands mostly is a word.
    for number, part in enumerate(_PART_OF_WORD.finditer(lower)):
        if number == _MAX_PLACES:
            return _WORD.search(lower, part.start() - _AROUND) is not None
        if _WORD.search(lower, max(0, part.start() - _AROUND), part.end() + _AROUND) is not None:
            return True
    return False


def find(facts: Mapping[str, str], input_alone: bool = False) -> Found | None:
    """The usage that values say together (attribute key → text); None for none, or for several that disagree.
    `input_alone`: an embedding is looked for, which has no output."""
    found: list[Found] = []
    flat = nested({in_common_words(key): text for key, text in facts.items() if len(text) < 40})
    search = _Search(iter(range(_MAX_LITERALS)), input_alone)
    found += _in_value(flat, search)
    for text in facts.values():
        if len(text) >= _MIN_TEXT and mentions_usage(text):
            found += _in_text(text, search)
    best = _only(found)
    if best is not None and not any(map(best.owner.get, MODEL_WORDS)) and (model := model_of(facts)):
        return best._replace(owner={**best.owner, "model": model})
    return best


def model_of(facts: Mapping[str, str]) -> str:
    """The only model that keys name, the served one where requested models are named too."""
    named = {key: text for key, text in facts.items() if text and names_model(key) and len(text) <= MAX_MODEL}
    served = {text for key, text in named.items() if "respon" in key.lower()}
    models = served or set(named.values())
    return next(iter(models)) if len(models) == 1 else ""


def _only(found: list[Found]) -> Found | None:
    found = [one for one in found if not one.is_estimate] or found
    distinct = {_figures(one.usage): one for one in sorted(found, key=lambda one: len(one.usage) + len(one.owner))}
    if len(distinct) <= 1:
        return next(iter(distinct.values()), None)
    # One of them may be the sum of the others: a loop and its steps.
    whole = max(distinct)
    parts = [figures for figures in distinct if figures != whole]
    if all(sum(part[n] for part in parts) == whole[n] for n in (0, 1)):
        return distinct[whole]
    return None


def _figures(usage: Mapping[str, Any]) -> tuple[int, int]:
    def first(words: tuple[str, ...]) -> int:
        return next((int(usage[word]) for word in words if _is_count(usage.get(word))), 0)

    return first(INPUT_WORDS), first(OUTPUT_WORDS)


def _in_text(text: str, search: _Search) -> Iterator[Found]:
    value = _parsed(text)
    if value is not None:
        yield from _in_value(value, search)
    elif _PRINTED.match(text) or _BARE.match(text):
        yield from _in_repr(text, search)


def _parsed(text: str) -> Any:
    text = unquoted(text)
    if text.startswith("["):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
    return as_object(text)


def _in_value(root: Any, search: _Search) -> Iterator[Found]:
    """Usage objects in a parsed value, and in texts within it."""
    stack: list[tuple[Any, Mapping[str, Any], int, bool]] = [(root, {}, 0, False)]
    nodes = 0
    while stack and nodes < _MAX_NODES:
        value, owner, depth, is_estimate = stack.pop()
        nodes += 1
        if isinstance(value, dict):
            value = _in_plain_words(value)
            if is_usage(value, search.input_alone):
                yield Found(value, owner if _is_owner(owner) else {}, is_estimate)
                continue
            around = value if _is_owner(value) or not owner else owner
            # Cohere's bill goes before its raw count beside it.
            billed = value.get("billed_units") or value.get("billedUnits")
            inside = [
                (str(key), inner)
                for key, inner in value.items()
                if _is_worth(inner) and not is_aside(str(key)) and not (key in _MESSAGE_TEXT and isinstance(inner, str))
            ]
            if is_usage(billed, search.input_alone):
                inside = [("", billed)]
            if depth < _MAX_DEPTH:
                stack += [(v, around, depth + 1, is_estimate or "stimate" in key) for key, v in inside]
        elif isinstance(value, list):
            if depth < _MAX_DEPTH:
                stack += [(inner, owner, depth + 1, is_estimate) for inner in value if _is_worth(inner)]
        elif isinstance(value, str) and len(value) >= _MIN_TEXT and mentions_usage(value):
            yield from _in_text(value, search)


def _is_worth(value: Any) -> bool:
    """Whether usage may stand within a value."""
    return isinstance(value, dict | list) or (isinstance(value, str) and len(value) >= _MIN_TEXT)


def _is_owner(value: Mapping[str, Any]) -> bool:
    return not value.keys().isdisjoint(_OWNERS) and any(isinstance(value.get(name), str) for name in _OWNERS)


def _in_repr(text: str, search: _Search) -> Iterator[Found]:
    """Usage in what a language prints of its objects: `Usage(prompt_tokens=3, …)`, `{'prompt_tokens': 3, …}`,
    `Usage{promptTokens=3, …}`, or fields without a name around them."""
    reached = 0
    bills: list[Mapping[str, Any]] = []
    others: list[Mapping[str, Any]] = []
    whole = (0, len(text)) if _BARE.match(text) else None
    for match in _WORD.finditer(text):
        if match.start() < reached:
            continue
        if next(search.literals, None) is None:
            break
        found = _around(text, match.start()) or whole
        if found is None or found[1] - found[0] > _MAX_LITERAL:
            continue
        start, end = found
        reached = end
        value = None if found is whole else _literal(text[start:end])
        if not isinstance(value, Mapping):
            value = _pairs(_outermost(text) if found is whole else text[start:end])
        value = _in_plain_words(value)
        if is_usage(value, search.input_alone):
            (bills if _BILLED.search(text, max(0, start - 40), start) else others).append(value)
    models = set(_MODEL_IN_REPR.findall(text))
    for value in bills or others:
        yield Found(value, {"model": next(iter(models))} if len(models) == 1 else {})


def _pairs(text: str) -> dict[str, Any]:
    """Names and whole numbers in what another language than Python printed."""
    return {name: int(count) for name, count in _PAIR.findall(text)}


def _outermost(text: str) -> str:
    """Without what stands in brackets."""
    for _ in range(_MAX_DEPTH):
        text, count = _BRACKETED.subn("", text)
        if not count:
            break
    return text


def _in_plain_words(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the names and form that the tables know."""
    value = _uncapitalised(value)
    if isinstance(results := value.get("results"), list) and "inputTextTokenCount" in value:  # Amazon Titan
        counts = [one.get("tokenCount") for one in results if isinstance(one, Mapping)]
        return {**value, "outputTokenCount": sum(count for count in counts if isinstance(count, int))}
    if "total_input_tokens" in value and not value.keys().isdisjoint(_INTERACTION):  # Google's Interactions API
        return {_INTERACTION_WORDS.get(key, key): inner for key, inner in value.items()}
    if isinstance(value.get("inputTokens"), Mapping) and isinstance(value.get("outputTokens"), Mapping):  # AI SDK 6
        inputs, outputs = value["inputTokens"], value["outputTokens"]
        return {
            **value,
            "inputTokens": inputs.get("total"),
            "cacheReadTokens": inputs.get("cacheRead"),
            "cacheWriteTokens": inputs.get("cacheWrite"),
            "outputTokens": outputs.get("total"),
            "reasoningTokens": outputs.get("reasoning"),
        }
    return value


def _uncapitalised(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """With names as in JSON, where .NET and Go write theirs with a capital letter."""
    if not value.keys().isdisjoint(_CAPITALISED):
        return {key[:1].lower() + key[1:]: inner for key, inner in value.items()}
    return value


def _around(text: str, position: int) -> tuple[int, int] | None:
    """The innermost call or dict literal around a position."""
    depth, start = 0, position
    while start > 0 and position - start < _MAX_LITERAL:
        start -= 1
        if text[start] in ")}":
            depth += 1
        elif text[start] in "({":
            if depth == 0:
                break
            depth -= 1
    else:
        return None
    end, depth = start, 0
    while end < len(text) and end - start < _MAX_LITERAL:
        if text[end] in "({":
            depth += 1
        elif text[end] in ")}":
            depth -= 1
            if depth == 0:
                break
        end += 1
    else:
        return None
    if text[start] == "(":
        while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_."):
            start -= 1
    return start, end + 1


def _literal(text: str) -> Any:
    try:
        return _value(ast.parse(_ENUM.sub(r"\1", text).replace("\\n", " "), mode="eval").body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _value(node: ast.expr) -> Any:
    """A literal, or a call with keywords as an object; names and what else there may be as None."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Dict):
        return {
            (key.value if isinstance(key, ast.Constant) else key.id): _value(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant | ast.Name)
        }
    if isinstance(node, ast.Call):
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg}
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    return None
