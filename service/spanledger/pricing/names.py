"""Which entries of a price list may stand for a model name.

Only spellings of the same model are tried, never a shorter or longer name that merely begins alike:
`gpt-4o-mini-2024-07-18` may use `gpt-4o-mini`, never `gpt-4o`.
"""

import re

from spanledger.pricing.providers import canonical

_DATE = re.compile(r"[-@](?:20\d{2})-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])$")
_MOVING = re.compile(r"(?:-|@)(?:latest|default)$")
_RESOURCE = re.compile(r"^(?:models/|publishers/[^/]+/models/|arn:aws[^/]*/)(.+)$")


def bare(provider: str, model: str) -> str:
    """The model's own name in lower case: no resource path, no prefix that only repeats the provider."""
    name = model.strip().lower()
    if found := _RESOURCE.match(name):
        name = found.group(1)
    prefix, slash, rest = name.partition("/")
    if slash and rest and canonical(prefix) == canonical(provider):
        return rest
    return name


def undated(name: str) -> str:
    """`name` without the date of a snapshot: `claude-sonnet-4-5-20250929` → `claude-sonnet-4-5`."""
    return _DATE.sub("", name)


def spellings(provider: str, model: str) -> tuple[str, ...]:
    """Names to look up, best first: without provider, as said, the fine-tuned base, without `-latest` or date."""
    said, name = model.strip().lower(), bare(provider, model)
    found = [name, said]
    if name.startswith("ft:"):  # ft:<base>:<organisation>:<name>:<id> costs what ft:<base> costs
        found.append(":".join(name.split(":")[:2]))
    found += [_MOVING.sub("", name), undated(name)]
    return tuple(dict.fromkeys(entry for entry in found if entry))
