"""What becomes of the attributes of raw spans and log records, as expressions of ClickHouse.

Without content a span keeps the attributes that the books read (clickhouse/dialects), short ones that are no JSON, and
those of a resource that describe the process. All other attributes could hold text and go.
"""

from collections.abc import Sequence
from functools import cache

from spanledger.dialects.tables import EVENT, tables

_LONGEST = 256  # characters of an attribute that stays
_LONGEST_USAGE = 4_000  # of an object of figures
# Fields of dialects whose values hold texts, and those whose values are objects of figures.
TEXTS = frozenset(
    (
        *("metadata", "request_metadata", "request_headers", "invocation", "hidden_params", "output"),
        *("output_messages", "tool_calls", "provider_metadata"),
        *("request_object", "http_address"),  # the books use single words of them; other values may be free text
    )
)
_FIGURES = frozenset({"usage_object", "input_details", "output_details", "cost_object"})
_OURS_WITH_TEXT = ("spanledger.decision.reason", "spanledger.analysis.", "spanledger.evaluation.tags")
_ALSO = ("gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label", "event.name")
_OF_RESOURCE = (
    *("service.", "telemetry.", "deployment.", "cloud.", "k8s.", "container.", "host.", "os.", "process.runtime."),
    "spanledger.",
)
_IDENTITY = {
    "user_id": ("user_id", "bare_user_id"),
    "conversation_id": ("conversation_id", "bare_conversation_id"),
}
_OURS_WITH_ID = {
    "user_id": ("spanledger.evaluation.user.id", "spanledger.statement.user_id"),
    "conversation_id": ("spanledger.statement.conversation_id",),
}


def quoted(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _list(texts: object) -> str:
    assert isinstance(texts, list | tuple)
    return ", ".join(map(quoted, texts))


def _keys(wanted: frozenset[str] | set[str], events: bool = False) -> list[str]:
    known = tables().keys
    found = [key for key, (field, _) in known.items() if field in wanted and "*" not in key]
    return [key.removeprefix(EVENT) for key in found if key.startswith(EVENT) == events]


@cache
def kept_of_span() -> str:
    """Whether attribute `k` with value `v` of a span or log record stays when its content goes."""
    known = tables()
    plain = _keys(set(known.fields) - TEXTS - _FIGURES)
    figures = _keys(_FIGURES)
    patterns = quoted("|".join(known.key_patterns))
    ours = " OR ".join(f"startsWith(k, {quoted(prefix)})" for prefix in _OURS_WITH_TEXT)
    is_json, has_texts = quoted(r"^\s*(\{|\[\s*\{)"), quoted(r'[:\[,]\s*"[^"]*"\s*[,}\]]')
    known_key = f"k IN ({_list(plain)}, {_list(_ALSO)}) OR match(k, {patterns})"
    of_ours = f"startsWith(k, 'spanledger.') AND NOT ({ours})"
    is_figures = f"k IN ({_list(figures)}) AND length(v) <= {_LONGEST_USAGE} AND NOT match(v, {has_texts})"
    is_short = f"length(v) <= {_LONGEST} AND NOT match(v, {is_json})"
    return f"({is_short} AND ({known_key} OR ({of_ours}))) OR ({is_figures})"


@cache
def kept_of_event() -> str:
    keys = _list(["exception.type", "finish_reason", *_ALSO[:3], *_keys(set(tables().fields) - TEXTS, events=True)])
    return f"length(v) <= {_LONGEST} AND NOT startsWith(v, '{{') AND k IN ({keys})"


@cache
def kept_of_resource() -> str:
    beginnings = " OR ".join(f"startsWith(k, {quoted(prefix)})" for prefix in _OF_RESOURCE)
    return f"length(v) <= {_LONGEST} AND ({beginnings} OR k IN ({_list(sorted(_keys(set(tables().resource_fields))))}))"


def filtered(condition: str, column: str) -> str:
    return f"mapFilter((k, v) -> {condition}, {column})"


@cache
def identity_keys(column: str) -> str:
    """The attributes that hold a user's or a conversation's id, as a list of literals."""
    return _list([*_keys(set(_IDENTITY[column])), *_OURS_WITH_ID[column]])


@cache
def figure_keys() -> str:
    """Attributes that the books read and that hold neither a user's nor a conversation's id."""
    ids = {field for fields in _IDENTITY.values() for field in fields}
    return _list(_keys(set(tables().fields) - ids - TEXTS))


def replaced_value(column: str, word: str, pseudonym: str, pattern: str) -> str:
    """Value `v` of attribute `k` with the pseudonym in the place of the id. All four are expressions or names."""
    inside = f"replaceAll(v, concat('\"', {word}, '\"'), concat('\"', {pseudonym}, '\"'))"
    anywhere = f"if({pattern} = '', {inside}, replaceRegexpAll(v, {pattern}, {pseudonym}))"
    return (
        f"multiIf(k IN ({identity_keys(column)}), if(v = {word}, {pseudonym}, {anywhere}),"
        f" k IN ({figure_keys()}), v, v = {word}, {pseudonym}, {anywhere})"
    )


def replaced(column: str, word: str, pseudonym: str, pattern: str, source: str) -> str:
    """A map of attributes with the pseudonym in the place of the id."""
    return f"mapApply((k, v) -> (k, {replaced_value(column, word, pseudonym, pattern)}), {source})"


def mentions(forms: str, maps: Sequence[str], lists: Sequence[str] = (), texts: Sequence[str] = ()) -> str:
    """Whether a form of the id stands anywhere in the values of maps, of lists of maps, or in texts. A map as one text
    would have its quotes and backslashes escaped."""

    def inside(text: str) -> str:
        return f"arrayExists(f -> position({text}, f) > 0, {forms})"

    found = [f"arrayExists(v -> {inside('v')}, mapValues(`{name}`))" for name in maps]
    found += [f"arrayExists(m -> arrayExists(v -> {inside('v')}, mapValues(m)), `{name}`)" for name in lists]
    found += [inside(f"`{name}`") for name in texts]
    return f"({' OR '.join(found)})"


def names(column: str, word: str, source: str) -> str:
    """Whether a map of attributes contains the id."""
    return (
        f"arrayExists((k, v) -> v = {word} AND k IN ({identity_keys(column)}), mapKeys({source}), mapValues({source}))"
    )
