"""What the offline models say: deterministic, from the messages alone, with the usage a hosted model would report.

The same messages give the same answer and the same token counts, on every machine. Ids are not part of this.

Fault models, for trying out what happens when a provider misbehaves (they answer as `offline/small`):
  flaky-429   the first request for the same messages is refused with 429, the next one served
  error-500   every request fails          error-400   every request is refused as malformed
  slow        20 ms between chunks         no-usage    never reports usage
  cut         a stream breaks off after five chunks, a plain request fails
"""

import functools
import hashlib
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanledger.workflows import offline_structured, tokens

PROVIDER = "offline"
CHAT_MODELS = ("small", "large", "reasoner")
EMBEDDING_MODELS = ("embed",)
FAULT_MODELS = ("flaky-429", "error-500", "error-400", "slow", "no-usage", "cut")

_CACHE_BLOCK = 64  # prompt tokens are cached in blocks of this size, from two blocks on
_MAX_WORDS = 4_000
_WORDS = (
    "the ledger keeps every entry and each span adds one more fact to it so that a total can be traced back to "
    "its calls while tokens flow in and cost follows by rule when a model answers the book is posted and settled"
).split()
_ARITHMETIC = re.compile(r"[-(]?\s*\d[\d.,]*(?:\s*[-+*/%^()]\s*[-\d.,()\s]*\d\)*)+")
_CONVERSION = re.compile(r"(-?\d+(?:\.\d+)?)\s*([a-zA-Z°]+)\s+(?:in|to|into|as)\s+([a-zA-Z°]+)")
_LENGTH = re.compile(r"\b(\d{1,6}) words\b")
_WORD = re.compile(r"\w+")
_CHUNK = re.compile(r"\s*\S+(?:\s+\S+)?")


@dataclass(frozen=True, slots=True)
class Answer:
    """`tool_calls` in OpenAI's form, without ids. Token counts follow OpenAI's meaning: details are parts of totals."""

    content: str
    reasoning: str
    tool_calls: tuple[dict[str, str], ...]  # name, arguments
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int

    def chunks(self) -> Iterator[str]:
        """The content in the pieces it is streamed in: two words each."""
        rest = 0
        for found in _CHUNK.finditer(self.content):
            rest = found.end()
            yield found.group()
        if rest < len(self.content):
            yield self.content[rest:]


def answer(model: str, messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> Answer:
    """The answer of offline model `model` (without the `offline/`)."""
    tools = _tools(parameters)
    calls = _tool_calls(messages, tools, parameters)
    schema = offline_structured.wanted(parameters)
    content = "" if calls else _content(messages) if schema is None else _fitting(messages, schema)
    reasoning = _prose(_seed(messages) + 1, 24 + len(content) // 40) if model == "reasoner" else ""
    reasoning_tokens = tokens.count(reasoning) if reasoning else 0
    spoken = tokens.count(content) + sum(4 + tokens.count(c["name"]) + tokens.count(c["arguments"]) for c in calls)
    finish = "tool_calls" if calls else "stop"
    limit = parameters.get("max_completion_tokens") or parameters.get("max_tokens")
    if not calls and (cut := _before_stop(content, parameters.get("stop"))) != content:
        content, spoken = cut, tokens.count(cut)
    if isinstance(limit, int) and not calls and reasoning_tokens + spoken > limit:
        content, spoken = _shortened(content, max(limit - reasoning_tokens, 0))
        reasoning_tokens, finish = min(reasoning_tokens, limit), "length"
    prompt = tokens.count_prompt(messages, [*tools.values()] or None)
    cached = _cached(messages[:-1], tools)
    written = (prompt - cached) // _CACHE_BLOCK * _CACHE_BLOCK if model == "large" else 0
    return Answer(
        content=content,
        reasoning=reasoning,
        tool_calls=tuple(calls),
        finish_reason=finish,
        prompt_tokens=prompt,
        completion_tokens=reasoning_tokens + spoken,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning_tokens,
    )


def _before_stop(content: str, stop: Any) -> str:
    """The content up to the first of the stop sequences."""
    found = [
        at for text in ([stop] if isinstance(stop, str) else stop or ()) if text and (at := content.find(text)) >= 0
    ]
    return content[: min(found)] if found else content


def fingerprint(messages: Sequence[Mapping[str, Any]]) -> str:
    """The same for the same messages."""
    return hashlib.sha256(json.dumps(list(messages), sort_keys=True, default=str).encode()).hexdigest()


def vector(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends on the text alone; texts that share words are near each other.

    The sum of one random direction per word's beginning (a poor man's stem), long words weighing more; the whole text
    where there are no words.
    """
    words = [word[:4] for word in _WORD.findall(text.lower())]
    values = [0.0] * dimensions
    for word, times in Counter(words or [text]).items():
        weight = max(len(word), 1) ** 2 * (1 + math.log(times))
        for i, part in enumerate(_direction(word, dimensions)):
            values[i] += weight * part
    length = math.sqrt(sum(v * v for v in values))
    return [v / length for v in values]


@functools.lru_cache(maxsize=20_000)
def _direction(word: str, dimensions: int) -> tuple[float, ...]:
    source = random.Random(hashlib.sha256(word.encode(errors="replace")).digest())
    return tuple(source.gauss(0, 1) for _ in range(dimensions))


def _cached(seen_before: Sequence[Mapping[str, Any]], tools: Mapping[str, Any]) -> int:
    """What a prompt cache would have kept of the turns before the last message."""
    if not seen_before:
        return 0
    kept = tokens.count_prompt(seen_before, [*tools.values()] or None) // _CACHE_BLOCK * _CACHE_BLOCK
    return kept if kept >= 2 * _CACHE_BLOCK else 0


def _tools(parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The offered functions by name."""
    found = {}
    for tool in parameters.get("tools") or ():
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            found[function["name"]] = dict(tool)
    return found


def _tool_calls(
    messages: Sequence[Mapping[str, Any]], tools: Mapping[str, dict[str, Any]], parameters: Mapping[str, Any]
) -> list[dict[str, str]]:
    choice = parameters.get("tool_choice")
    if not tools or choice == "none" or not messages or messages[-1].get("role") != "user":
        return []
    text = _text(messages[-1])
    wanted = [call for name in tools for call in _calls_of(name, tools[name], text)]
    if wanted:
        return wanted
    if isinstance(choice, Mapping):
        named = str((choice.get("function") or {}).get("name"))
        return [_call(named, _example(tools[named], text))] if named in tools else []
    if choice == "required":
        name = next(iter(tools))
        return [_call(name, _example(tools[name], text))]
    return []


def _calls_of(name: str, tool: Mapping[str, Any], text: str) -> list[dict[str, str]]:
    """Calls of one tool that the question asks for."""
    if name == "calculator":
        return [_call(name, {"expression": found.strip()}) for found in _ARITHMETIC.findall(text)[:4]]
    if name == "convert_units":
        return [
            _call(name, {"value": _number(value), "from_unit": source, "to_unit": target})
            for value, source, target in _CONVERSION.findall(text)[:4]
        ]
    if name == "clock":
        return [_call(name, {})] if re.search(r"\bwhat time\b|\bthe time\b|\btoday\b", text.lower()) else []
    spoken = text.lower()  # `server__tool` is a `server.tool` in a name that providers allow
    named = name.lower() in spoken or name.lower().replace("__", ".") in spoken
    return [_call(name, _example(tool, text))] if named else []


def _number(text: str) -> float:
    """As a model writes it: without a fraction where there is none."""
    value = float(text[:300])
    return int(value) if value.is_integer() else value


def _call(name: str, arguments: Mapping[str, Any]) -> dict[str, str]:
    return {"name": name, "arguments": json.dumps(arguments)}


def _example(tool: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Arguments that fit the tool's schema: the required ones, strings from the question."""
    schema = (tool.get("function") or {}).get("parameters") or {}
    properties = schema.get("properties") or {}
    return {name: _argument(properties.get(name), text) for name in schema.get("required") or ()}


def _argument(schema: Any, text: str) -> Any:
    known = schema if isinstance(schema, Mapping) else {}
    kinds = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    allowed, kind = known.get("enum"), known.get("type", "string")
    if isinstance(allowed, list) and allowed:
        return allowed[0]
    first = next(iter(kind), "string") if isinstance(kind, list) else kind
    return kinds.get(str(first), text[:40])


def _content(messages: Sequence[Mapping[str, Any]]) -> str:
    results: list[str] = []
    for message in reversed(messages):
        if message.get("role") != "tool":
            break
        results.append(_text(message))
    if results:
        return "Here is what I found: " + "; ".join(reversed(results)) + "."
    question = _text(messages[-1]) if messages else ""
    length = _LENGTH.search(question)
    words = min(int(length.group(1)), _MAX_WORDS) if length else 18 + _seed(messages) % 40
    return _prose(_seed(messages), words)


def _fitting(messages: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> str:
    return offline_structured.answer(schema, _seed(messages))


def _prose(seed: int, words: int) -> str:
    """`words` words in sentences."""
    source = random.Random(seed)
    sentences = []
    while words > 0:
        length = min(words, source.randint(6, 14))
        picked = source.choices(_WORDS, k=length)
        sentences.append(" ".join(picked).capitalize() + ".")
        words -= length
    return " ".join(sentences)


def _shortened(content: str, limit: int) -> tuple[str, int]:
    """The longest beginning, in whole words, of at most `limit` tokens; and its tokens."""
    words = content.split(" ")
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if tokens.count(" ".join(words[:middle])) <= limit:
            low = middle
        else:
            high = middle - 1
    kept = " ".join(words[:low])
    return kept, tokens.count(kept)


def _seed(messages: Sequence[Mapping[str, Any]]) -> int:
    return int(fingerprint(messages)[:12], 16)


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""
