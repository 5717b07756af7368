"""Outcome of a call, the provider and model that answered, and the id of its response."""

import re
from typing import NamedTuple

from spanledger.dialects.facts import Reading
from spanledger.dialects.tables import EVENT, STATUS_MESSAGE
from spanledger.dialects.values import unwrapped_id

_MADE_UP_ID = re.compile(r"(?:run-|(?:lc_run|litellm|trace)[-_])")
_PROVIDER_ID = re.compile(r"(?:chatcmpl|cmpl|resp|gen)[-_]")
_RESPONSE_OBJECTS = frozenset({"chat.completion", "chat.completion.chunk", "response", "text_completion"})
_ERROR_WORD = re.compile(r"[A-Za-z_.]*(?:Error|Exception|Exit|Timeout|Interrupt|Abort|Limit)")
_MODULE = re.compile(r"^(?:[A-Za-z_]\w*\.)+")
_FINISH_ENUM = re.compile(r"(?:finish|stop)_?reason(?:[._]|: ?)([a-z_]+)")
# Where a cloud or gateway keeps a model, before its name.
_MODEL_PATH = re.compile(
    r"^(?:models/|(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/[^/]+/models|endpoints)/"
    r"|arn:aws[\w-]*:bedrock:[^/]*(?:foundation-model|inference-profile)/"
    r"|bedrock/(?:(?:converse|converse_like|invoke|[a-z]{2}(?:-[a-z]+)+-\d)/)*"
    r"|(?:azure|azure_ai|openai|xai)/(?:responses|chat|realtime|completions|text|o_series|gpt5_series)/"
    r"|responses/)",
    re.IGNORECASE,
)
_GOOGLE = "gcp.gen_ai"  # Google, by one of its endpoints
_WRAPPED = 80  # longer ids of OpenAI's Responses API were wrapped by LiteLLM


class Ending(NamedTuple):
    status: str
    error_type: str
    finish_reason: str
    is_stream: bool
    is_unfinished: bool  # an Anthropic message before its end: what it counts so far is not what was served


class Names(NamedTuple):
    server: str
    provider: str
    request_model: str
    response_model: str


def ending(span: Reading, span_status: str) -> Ending:
    status, error_type = error(span, span_status)
    if not span.is_genai:
        return Ending(status, error_type, "", False, False)
    is_message = span.is_call and span.fact("output", "type") == "message" and span.fact("output", "model") != ""
    is_unfinished = is_message and not span.fact("output", "stop_reason")
    is_aborted = span.is_call and (error_type in span.by.sets["aborts"] or is_unfinished)
    word = _finish_word(span).lower()
    return Ending(
        status=status,
        error_type=error_type,
        finish_reason="aborted" if is_aborted and word in ("", "error") else span.by.finish(word),
        is_stream=span.is_call and _is_stream(span),
        is_unfinished=is_unfinished,
    )


def error(span: Reading, span_status: str) -> tuple[str, str]:
    """Status and type of error. A library that names an error without setting a status means an error."""
    status = span_status
    if status == "unset" and span.is_genai and (span.own("error_level").lower() == "error" or span.own("error_type")):
        status = "error"
    if status != "error":
        return status, ""
    message = _ERROR_WORD.match(span.events.get(STATUS_MESSAGE, ""))
    word = span.own("error_type") or span.events.get(EVENT + "exception.type", "")
    word = word or (message[0] if message else "") or span.own("http_status")
    return status, _MODULE.sub("", word)[:128]


def _finish_word(span: Reading) -> str:
    reason = span.own_or_nested("finish_reason")
    if enum := _FINISH_ENUM.search(reason.lower()):
        return enum[1]
    if reason.startswith("["):
        found = re.search("[A-Za-z_-]+", reason)
        return found[0] if found else ""
    if reason or not span.is_call:
        return reason
    return span.events.get(EVENT + "finish_reason", "") or span.fact("output", "stop_reason")


def _is_stream(span: Reading) -> bool:
    if span.own_or_nested("stream").lower() in ("true", "1") or EVENT + "first_token_ns" in span.events:
        return True
    return span.dialect == "vercel-ai" and "stream" in span.name.lower()


def names(span: Reading, status: str) -> Names:
    """Of a span about GenAI."""
    server = span.by.host_of(span.own_or_nested("server") or span.own_or_nested("api_base"))
    requested = (
        span.own_or_nested("routed_model") or span.own_or_nested("request_model") or span.own_or_nested("model_said")
    )
    if not requested and span.is_call:
        requested = span.own_or_nested("action")
    if not requested and span.is_named:
        requested = span.name.split(" ")[1]
    provider = _provider(span, server, (requested or span.own_or_nested("response_model")).lower())
    request_model = _bare(span, requested, provider)
    served = span.own_or_nested("response_model")
    if served.lower() in span.by.nameless_models:
        served = ""
    aliases = (
        span.own_or_nested("model_alias"),
        span.own_or_nested("request_model") if span.own_or_nested("routed_model") else "",
    )
    if served and served in aliases and served != request_model:
        served = ""  # the alias of a proxy is not a model name
    elif not served and span.is_call and (status != "error" or _is_answer(span)):
        served = span.own_or_nested("model_said")
    return Names(
        server=server,
        provider=provider,
        request_model=request_model,
        response_model=_bare(span, served, provider),
    )


def _is_answer(span: Reading) -> bool:
    """Whether a failed call got an answer: its response model differs from the requested one."""
    return span.own_or_nested("request_model") not in ("", span.own_or_nested("model_said"))


def _provider(span: Reading, server: str, model: str) -> str:
    by = span.by
    if server and (known := by.provider_of_host(server)):
        return known
    if span.case("unknown_gateway"):
        return "openai_compatible"
    word = (
        span.own_or_nested("provider")
        or span.own_or_nested("provider_openinference")
        or span.own_or_nested("system_openinference")
        or next((name for begin, name in by.tables.providers["engines"].items() if span.scope.startswith(begin)), "")
    )
    named = by.alias(by.suffix.sub("", word.strip().lower()))
    if named in by.frameworks:
        hint = span.own_or_nested("provider_hint").lower()
        named = by.alias(hint) if hint not in by.frameworks else _maker(span, model)
    if not named or named in by.frameworks:
        named_by_class = by.alias(by.suffix.sub("", span.own_or_nested("provider_class").lower()))
        named = named_by_class if by.is_provider(named_by_class) else named
    if named == _GOOGLE:
        named = _google(span, model)
    if named == "openai" and server and not by.nameless.search(server):
        return server
    if by.is_provider(named):
        named = by.cloud(model) or named  # a maker's name where a cloud serves its model
    return named or (by.cloud(model) or by.family(model) if model else "")


def _google(span: Reading, model: str) -> str:
    """Which of Google's endpoints answered, where one word only names the maker."""
    words = (
        span.own_or_nested("system_openinference"),
        span.own_or_nested("provider_openinference"),
        span.own_or_nested("provider"),
    )
    known = {span.by.alias(span.by.suffix.sub("", word.strip().lower())) for word in words if word}
    if "gcp.vertex_ai" in known:
        return "gcp.vertex_ai"
    if "gcp.gemini" in known or model.startswith("models/"):
        return "gcp.gemini"
    return _GOOGLE


def _maker(span: Reading, model: str) -> str:
    """The provider that a model's prefix names (`openai/gpt-4o`, `anthropic:claude-…`)."""
    if cloud := span.by.cloud(model):
        return cloud
    prefix, *rest = re.split("::|[/:]", model, maxsplit=1)
    return span.by.spelled(prefix) if rest else ""


def _bare(span: Reading, model: str, provider: str) -> str:
    """Without resource path, and without a prefix that only repeats the provider."""
    while model != (bare := _MODEL_PATH.sub("", model)):
        model = bare
    prefix, *rest = re.split("::|[/:]", model, maxsplit=1)
    return rest[0] if rest and rest[0] and span.by.is_prefix(prefix, provider) else model


def response_id(span: Reading) -> str:
    """The id of a call's answer, by the provider or a gateway; those that libraries make up for themselves are none."""
    response_id = span.own_or_nested("response_id")
    if not response_id and "output" in span.present:
        identity = span.fact("output", "id")
        is_message = span.fact("output", "type") == "message" and span.fact("output", "model")
        is_response = span.fact("output", "object") in _RESPONSE_OBJECTS
        is_genuine = is_response or is_message or _PROVIDER_ID.match(identity)
        response_id = identity if is_genuine else span.fact("output", "langchain_id")
    return genuine_id(response_id, span.own_or_nested("own_call_id")) if response_id else ""


def genuine_id(response_id: str, own_call_id: str) -> str:
    """The id with which the application got its answer; '' where a library made it up for itself."""
    if response_id == own_call_id or _MADE_UP_ID.match(response_id):
        return ""
    if response_id.startswith("resp_") and len(response_id) > _WRAPPED:
        return unwrapped_id(response_id[5:]) or response_id
    return response_id
