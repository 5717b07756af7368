"""Which entries of a price list may stand for a model name.

Only spellings of the same model are tried, never a shorter or longer name that merely begins alike:
`gpt-4o-mini-2024-07-18` may use `gpt-4o-mini`, never `gpt-4o`.
"""

import re

from spanledger.pricing.providers import canonical

_DATE = re.compile(r"[-@](?:20\d{2})-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])(?:-v\d+(?::\d+)?)?$")
_REVISION = re.compile(r"-00\d$")  # of a Gemini model
_MOVING = re.compile(r"(?:-|@)(?:latest|default)$")
# Where a cloud keeps a model, before its name: paths, resource names, kinds of API.
_RESOURCE = re.compile(
    r"^(?:models/|(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/|arn:aws[^/]*/"
    r"|bedrock/(?:(?:converse|converse_like|invoke|[a-z]{2}(?:-[a-z]+)+-\d)/)*"
    r"|(?:azure|azure_ai|openai|xai)/(?:responses|chat|realtime|completions|text|o_series|gpt5_series)/|responses/)(.+)$"
)
_REGION = re.compile(r"^(?:us|us-gov|eu|apac|au|jp|ca|sa|global)\.(?=[a-z0-9-]+\.)")
_CONTEXT = re.compile(r":\d+k$")  # provisioned with so long a context, at the same price a token
_LONG = re.compile(r"\[\d+[km]\]$")  # so long a context, as Claude Code writes it: `claude-opus-4-6[1m]`
_BEDROCK_API = re.compile(r"^(?:(?:converse|converse_like|invoke)/)+")  # LiteLLM's way to one of Bedrock's
_VERTEX_MAKER = re.compile(r"^(?:anthropic|google)/")  # whose models stand in Vertex's list by their name alone
_BEDROCK = "aws.bedrock"
_VERTEX = "gcp.vertex_ai"
# Makers of models on a cloud by how their names begin: some instrumentations strip the maker.
_VERTEX_MAKERS = (
    ("llama", "meta"),
    ("deepseek", "deepseek-ai"),
    ("qwen", "qwen"),
    ("gpt-oss", "openai"),
    ("grok", "xai"),
    ("kimi", "moonshotai"),
    ("glm", "zai-org"),
    ("gemma", "google"),
    ("minimax", "minimaxai"),
)
_BEDROCK_MAKERS = (
    ("claude", "anthropic"),
    ("nova-", "amazon"),
    ("titan-", "amazon"),
    ("llama", "meta"),
    ("mistral", "mistral"),
    ("mixtral", "mistral"),
    ("command", "cohere"),
    ("embed-", "cohere"),
    ("jamba", "ai21"),
    ("j2-", "ai21"),
    ("deepseek", "deepseek"),
    ("r1-", "deepseek"),
    ("v3", "deepseek"),
    ("gpt-", "openai"),
    ("pixtral", "mistral"),
    ("ministral", "mistral"),
    ("magistral", "mistral"),
    ("devstral", "mistral"),
    ("voxtral", "mistral"),
    ("qwen", "qwen"),
    ("gemma", "google"),
    ("minimax", "minimax"),
    ("kimi", "moonshot"),
    ("kimi", "moonshotai"),
    ("nemotron", "nvidia"),
    ("glm", "zai"),
    ("grok", "xai"),
    ("palmyra", "writer"),
    ("marengo", "twelvelabs"),
    ("pegasus", "twelvelabs"),
    ("rerank-v1", "amazon"),
    ("rerank-v3", "cohere"),
)
# OpenRouter's wishes about the route, which leave the model and its list price as they are.
_ROUTES = (":nitro", ":beta")


def bare(provider: str, model: str) -> str:
    """The model's own name in lower case: no resource path, no prefix that only repeats the provider."""
    name = model.strip().lower()
    while found := _RESOURCE.match(name):
        name = found.group(1)
    prefix, slash, rest = name.partition("/")
    if slash and rest and canonical(prefix) == canonical(provider):
        return rest
    return name


def undated(name: str) -> str:
    """`name` without the date of a snapshot: `claude-sonnet-4-5-20250929` → `claude-sonnet-4-5`."""
    return _DATE.sub("", name)


def spellings(provider: str, model: str) -> tuple[str, ...]:
    """Names to look up, best first: without provider, as reported, the fine-tuned base, without `-latest` or date."""
    reported, name = model.strip().lower(), bare(provider, model)
    found = [name, reported]
    if (inner := _inner(canonical(provider), name)) != name:
        return tuple(dict.fromkeys((*found, *spellings(provider, inner))))
    if name.startswith("ft:"):  # ft:<base>:<organisation>:<name>:<id> costs what ft:<base> costs
        found.append(":".join(name.split(":")[:2]))
    if canonical(provider) == "openrouter" and name.endswith(_ROUTES):
        found.append(name.rpartition(":")[0])
    if canonical(provider) == _BEDROCK:
        found += _on_bedrock(name)
    if canonical(provider) == _VERTEX:
        found += [f"{maker}/{name}" for start, maker in _VERTEX_MAKERS if name.startswith(start)]
    found += [_MOVING.sub("", name), undated(name)]
    if name.startswith("gemini-"):
        found.append(_REVISION.sub("", name))
    return tuple(dict.fromkeys(entry for entry in found if entry))


def _inner(provider: str, name: str) -> str:
    """Without what says how it was called, which is no part of the model's name. Long requests have their price by
    their length."""
    name = _LONG.sub("", name)
    if provider == _BEDROCK:
        return _BEDROCK_API.sub("", name)
    return _VERTEX_MAKER.sub("", name) if provider == _VERTEX else name


def _on_bedrock(name: str) -> list[str]:
    """The model without its region, whose price is the ordinary one, and with its maker."""
    plain = _REGION.sub("", _CONTEXT.sub("", name))
    return [plain, *(f"{maker}.{plain}" for start, maker in _BEDROCK_MAKERS if plain.startswith(start))]
