"""Parameters of lists, as OpenAPI shows them: every filter is declared; attributes are `attr.<key>=<value>`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from fastapi import Request
from pydantic import ConfigDict, Field, model_validator

from spanledger.api.windows import Windowed, many
from spanledger.stats.filters import NAMES, Filter, Range
from spanledger.stats.usage import CostState

ATTRIBUTE = "attr."
MOST_ATTRIBUTES = 20  # each one is looked for in the raw spans
WAIT = "wait"  # declared by the reader of answers that say how fresh they are (freshness.py)


class Attributed(Windowed):
    """`attr.<key>=<value>`: an attribute of a span; `value*` begins so, `*` alone: it is there."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _has_known_names(self) -> "Attributed":
        others = [name for name in self.model_extra or {} if name != WAIT]
        unknown = [name for name in others if not name.startswith(ATTRIBUTE) or name == ATTRIBUTE]
        if unknown:
            known = [field.alias or name for name, field in type(self).model_fields.items()]
            raise ValueError(f"parameter {unknown[0]!r} is unknown here; these are: {', '.join(known)}, attr.<key>")
        keys = sorted(name for name in others if name.startswith(ATTRIBUTE))
        if len(keys) > MOST_ATTRIBUTES:
            raise ValueError(f"{keys[MOST_ATTRIBUTES]!r}: at most {MOST_ATTRIBUTES} different attr.<key> can be given")
        return self

    @model_validator(mode="after")
    def _has_ranges(self) -> "Attributed":
        for name in type(self).model_fields:
            least, most = getattr(self, name), getattr(self, name.replace("min_", "max_", 1), None)
            if name.startswith("min_") and None not in (least, most) and least > most:
                raise ValueError(f"{name}={least} is more than {name.replace('min_', 'max_', 1)}={most}")
        return self


def attributes_of(request: Request) -> Mapping[str, list[str]]:
    """Key → values of the `attr.` parameters."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name.startswith(ATTRIBUTE):
            found.setdefault(name[len(ATTRIBUTE) :], []).append(value)
    return found


class MessageFilter(Attributed):
    """Which messages: several values of one name are alternatives, different names all hold."""

    user: list[str] = many("user id")
    conversation: list[str] = many("conversation id")
    message: list[str] = many("message id")
    trace: list[str] = many("trace id")
    correlation: list[str] = many("correlation id")
    model: list[str] = many("a model that served it")
    provider: list[str] = many("provider")
    workflow: list[str] = many("workflow")
    agent: list[str] = many("agent")
    tool: list[str] = many("a tool that ran")
    prompt: list[str] = many("prompt")
    prompt_version: list[str] = many("prompt version")
    variant: list[str] = many("experiment/variant")
    status: list[Literal["ok", "error", "abandoned"]] = many("ok, error or abandoned")
    error_type: list[str] = many("error type")
    cost_state: list[CostState] = many("billed, computed, estimated, unpriced or mixed")
    service: list[str] = many("service")
    operation: list[str] = many("an operation that one of its calls has")
    feedback: list[str] = many("label of the last feedback of a person")
    min_cost: Decimal | None = Field(None, ge=0, le=10**12, description="USD")
    max_cost: Decimal | None = Field(None, ge=0, le=10**12, description="USD")
    min_tokens: int | None = Field(None, ge=0, le=10**15, description="at least so many tokens")
    max_tokens: int | None = Field(None, ge=0, le=10**15, description="at most so many tokens")
    min_duration_ms: Decimal | None = Field(None, ge=0, le=10**12, description="took at least so long")
    max_duration_ms: Decimal | None = Field(None, ge=0, le=10**12, description="took at most so long")
    q: str = Field("", max_length=1024, description="words that stand in the content, where it is kept")

    def filter(self, request: Request) -> Filter:
        """Raises BadRequest."""
        return Filter(
            window=self.window,
            equal={name: values for name in NAMES if (values := getattr(self, name))},
            attributes=attributes_of(request),
            cost_usd=Range(self.min_cost, self.max_cost),
            tokens=Range(_decimal(self.min_tokens), _decimal(self.max_tokens)),
            duration_ms=Range(self.min_duration_ms, self.max_duration_ms),
            text=self.q.strip(),
        )


def _decimal(number: int | None) -> Decimal | None:
    return None if number is None else Decimal(number)
