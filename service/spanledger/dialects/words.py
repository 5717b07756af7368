"""The words of providers and libraries for token usage, and the meaning of attribute keys that contain them."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from spanledger.dialects.recent import Recent

T = TypeVar("T")

# Words for input tokens, for output tokens and for both, as providers and libraries write them.
INPUT_WORDS = (
    *("prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "prompt_token_count", "promptTokenCount"),
    *("input_token_count", "inputTokenCount", "prompt_eval_count"),  # any of them may begin with a capital letter
    *("inputTextTokenCount", "x-amzn-bedrock-input-token-count"),
)
OUTPUT_WORDS = (
    *("completion_tokens", "output_tokens", "completionTokens", "outputTokens", "candidates_token_count"),
    *(
        "candidatesTokenCount",
        "output_token_count",
        "outputTokenCount",
        "completion_token_count",
        "eval_count",
        "generation_token_count",
    ),
    *("response_token_count", "responseTokenCount", "generated_token_count", "generatedTokenCount"),
    *("totalOutputTextTokenCount", "x-amzn-bedrock-output-token-count"),
)
TOTAL_WORDS = ("total_tokens", "totalTokens", "total_token_count", "totalTokenCount")
# Counts in keys of hand-written instrumentation: `llm.tokens.input`, `tokens_in`, `llm.output.tokens`.
FLAT_COUNTS = (
    r"(?:^|[._])tokens?[._](?:count[._])?(?:input|prompt|in|output|completion|out|total|cached|cache_read|cache_write"
    r"|reasoning|used)(?:_count)?$",
    r"(?:^|[._])tokens_(?:evaluated|predicted)$",
    r"(?:^|[._])usage[._](?:input|prompt|output|completion|total)$",
    r"(?:^|[._])(?:input|prompt|output|completion|total|cached|reasoning)[._](?:tokens|token_count)$",
    r"(?:^|\.)(?:prompt_)?eval_count$",
)
_FLAT_COUNT = re.compile(
    r"(?P<place>.*?)(?:^|[._])(?:"
    r"tokens?[._](?:(?:usage|count)[._])?(?P<after>\w+?)(?:_count)?"
    r"|usage[._](?P<used>input|prompt|output|completion|total)"
    r"|(?P<before>\w+)\.(?:tokens|token_count))$"
    r"|(?P<place_of_snake>.*?)(?:^|\.)(?:(?:llm|ai|openai|anthropic)_)?(?:usage_)?(?:num_|n_)?"
    r"(?P<within>[a-z]+)_(?:tokens|token_count)$"
)
_FLAT_WORDS = {
    **dict.fromkeys(("prompt", "in", "request", "evaluated", "embedding"), "input"),
    **dict.fromkeys(("completion", "out", "response", "predicted", "generation", "generated"), "output"),
    "used": "total",
}
_WORDS = frozenset((*INPUT_WORDS, *OUTPUT_WORDS, *TOTAL_WORDS))
_ASIDE = re.compile(r"input$|inputs$|request$|prompt$|history|config|setting|limit|budget|quota", re.IGNORECASE)
MAX_MODEL = 256  # characters of a model's name
_MODEL_KEY = re.compile(r"(?:^|[._-])model(?:[._-]?(?:name|id|version))?$|Model(?:Name|Id|Version)?$", re.IGNORECASE)
_MAX_REMEMBERED_KEY = 80  # characters of keys whose meaning is remembered
_MAX_KEYS = 8_000


def _remembered(rule: Callable[[str], T]) -> Callable[[str], T]:
    """Caches the results of a rule for keys of up to 80 characters."""
    known: Recent[tuple[T]] = Recent(_MAX_KEYS)

    def remembering(key: str) -> T:
        found = known.get(key)
        if found is None:
            found = (rule(key),)
            if len(key) <= _MAX_REMEMBERED_KEY:
                known[key] = found
        return found[0]

    return remembering


@_remembered
def is_aside(key: str) -> bool:
    """Whether usage below this key belongs to other calls."""
    return _ASIDE.search(key) is not None


@_remembered
def names_model(key: str) -> bool:
    return _MODEL_KEY.search(key) is not None


@_remembered
def in_common_words(key: str) -> str:
    """`llm.tokens.input` → `llm.input_tokens`; other keys as they are."""
    found = _FLAT_COUNT.fullmatch(key)
    if found is None or key.rpartition(".")[2] in _WORDS:
        return key
    word = found["after"] or found["used"] or found["before"] or found["within"]
    return f"{found['place'] or found['place_of_snake'] or ''}.{_FLAT_WORDS.get(word, word)}_tokens".lstrip(".")


def is_count_key(key: str) -> bool:
    """Whether a key is one of tokens that a call took or gave."""
    return in_common_words(key).rpartition(".")[2] in _WORDS


def nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """Objects of keys with dots: `a.usage.prompt_tokens` → {a: {usage: {prompt_tokens: …}}}."""
    root: dict[str, Any] = {}
    for key, text in flat.items():
        *path, last = key.split(".")
        place = root
        for step in path:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place.setdefault(last, text)
    return root
