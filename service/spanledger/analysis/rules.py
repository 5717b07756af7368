"""Analysis of a text without a model: sentiment by words, topics by frequency, promises by their verbs.

English words only; a text in another language comes out neutral, with its own frequent words as topics.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

MAX_TOPICS = 5
MAX_ITEMS = 10
MAX_CHARS = 20_000  # of one text; what goes on longer says nothing new about its mood
_GOOD = frozenset(
    "good great thanks thank perfect love loved nice excellent awesome helpful works worked happy glad wonderful "
    "amazing right correct yes super brilliant pleased solved fixed".split()
)
_BAD = frozenset(
    "bad wrong error errors fail fails failed broken hate terrible awful useless angry sad annoying annoyed problem "
    "problems issue bug crash worse worst slow stuck disappointed frustrated unacceptable refund complaint".split()
)
_NOT = frozenset("not no never isn't wasn't don't doesn't didn't won't can't cannot without".split())
_STOP = frozenset(
    "the and for that this with you your are was were have has had not but from they them their what when which who "
    "will would can could should about there here then than into its it's i'm i'll let me my our out how why does did "
    "just like some any all more also please been being one two get got make made over such very each only other "
    "because before after these those while where it's don't can't".split()
)
_WORD = re.compile(r"[^\W\d_][\w'’-]{2,30}")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
_PROMISE = re.compile(
    r"\b(?:I(?:'ll|’ll| will| shall| promise| am going to|'m going to)|we(?:'ll|’ll| will| shall)|let me|I can have)\b",
    re.IGNORECASE,
)


def sentiment(text: str) -> tuple[str, float]:
    """`positive`, `negative` or `neutral`, and the score from −1 to 1."""
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text[:MAX_CHARS])]
    score = 0
    for before, word in zip(["", *words], words, strict=False):
        value = (word in _GOOD) - (word in _BAD)
        score += -value if before in _NOT else value
    found = sum(word in _GOOD or word in _BAD for word in words)
    ratio = round(score / found, 3) if found else 0.0
    return ("positive" if ratio > 0.2 else "negative" if ratio < -0.2 else "neutral"), ratio


def topics(texts: Iterable[str]) -> list[str]:
    """The words that are used most, the longer first among equals."""
    counts: Counter[str] = Counter()
    for text in texts:
        words = {word.lower().strip("'’-") for word in _WORD.findall(text[:MAX_CHARS])}
        counts.update(word for word in words if word not in _STOP and len(word) > 3)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], -len(item[0]), item[0]))
    return [word for word, _ in ranked[:MAX_TOPICS]]


def commitments(texts: Iterable[str]) -> list[str]:
    """Sentences that promise an action."""
    found = (sentence.strip() for text in texts for sentence in _SENTENCE.findall(text[:MAX_CHARS]))
    return [one[:300] for one in dict.fromkeys(found) if _PROMISE.search(one)][:MAX_ITEMS]


def title(texts: Sequence[str]) -> str:
    """The beginning of the first text."""
    first = " ".join(texts[0].split()) if texts else ""
    return first if len(first) <= 60 else first[:59].rsplit(" ", 1)[0] + "…"


def key_points(texts: Sequence[str]) -> list[str]:
    """The questions in the texts, else the first sentences."""
    sentences = [one.strip() for text in texts for one in _SENTENCE.findall(text[:MAX_CHARS]) if one.strip()]
    questions = [one for one in sentences if one.endswith("?")]
    return [one[:300] for one in dict.fromkeys(questions or sentences[:3])][:MAX_ITEMS]
