"""Texts with `{{ variables }}`. Filled in one pass: what a variable brings along is text, never a template."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from spanledger.errors import BadRequest

NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
MAX_RENDERED_CHARS = 512 * 1024
_VARIABLE = re.compile(r"\{\{\s*(" + NAME + r")\s*\}\}")


class BadTemplate(BadRequest):
    """The text is no template, or does not fit the variables that came with it."""

    title = "Unusable prompt"
    status = 422
    error_type = "bad_prompt"


@dataclass(frozen=True, slots=True)
class Template:
    """Raises BadTemplate for braces that are no variable."""

    text: str
    variables: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        rest = _VARIABLE.sub("\0", self.text)
        for braces in ("{{", "}}"):
            if (at := rest.find(braces)) >= 0:
                near = rest[max(at - 10, 0) : at + 20].replace("\0", "…")
                raise BadTemplate(f"near {near!r}: {braces} must be part of a variable like {{{{ name }}}}")
        object.__setattr__(self, "variables", frozenset(_VARIABLE.findall(self.text)))

    def render(self, values: Mapping[str, str]) -> str:
        """The text with every variable filled. Raises BadTemplate for one that is missing or that it does not have."""
        if missing := sorted(self.variables - values.keys()):
            raise BadTemplate(f"the prompt needs the variable {missing[0]!r}")
        if unknown := sorted(values.keys() - self.variables):
            known = ", ".join(sorted(self.variables)) or "none"
            raise BadTemplate(f"the prompt has no variable {unknown[0][:100]!r}; it has {known}")
        rendered = _VARIABLE.sub(lambda found: values[found[1]], self.text)
        if len(rendered) > MAX_RENDERED_CHARS:
            raise BadTemplate(f"the filled prompt has {len(rendered):,} characters of at most {MAX_RENDERED_CHARS:,}")
        return rendered
