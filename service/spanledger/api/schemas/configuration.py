"""Prompts, profiles, preferences, names of models, experiments."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from spanledger.api.inputs import Memory, Parameters
from spanledger.api.schemas.common import Answer
from spanledger.stats.fields import Moment, Money, OrNull


class PromptVersion(Answer):
    """`variables` of the template, of which `defaults` fill those that a run does not bring."""

    name: str
    version: int
    text: str
    description: str
    variables: list[str]
    defaults: dict[str, str]
    labels: list[str]
    created_at: Moment
    created_by: OrNull


class Profile(Answer):
    """What is null is left to others."""

    name: str
    version: int
    description: str = ""
    model: str | None = None
    fallbacks: Annotated[list[str], Field(default_factory=list)]
    parameters: Parameters | None = None
    memory: Memory | None = None
    cache: bool | None = None
    instructions: str | None = None
    created_at: Moment


class UserPreferences(Answer):
    """What is null was not wished for."""

    user_id: str
    profile: str | None = None
    model: str | None = None
    language: str | None = None
    tone: str | None = None
    memory: Memory | None = None
    cache: bool | None = None


class ModelPrices(Answer):
    """USD per million tokens."""

    input_usd_per_million: Money | None = None
    cache_read_usd_per_million: Money | None = None
    output_usd_per_million: Money | None = None


class RegisteredModel(Answer):
    """`prices` are today's; null: the price book has none."""

    model: str
    state: Literal["enabled", "retired"]
    replaced_by: OrNull
    parameters: Parameters
    fallbacks: list[str]
    prices: ModelPrices | None = None


class ModelNames(Answer):
    """`version` 0: there is none yet. `models` by alias."""

    version: int
    default: OrNull
    only_registered: bool
    models: dict[str, RegisteredModel]


class ExperimentVariant(Answer):
    name: str
    weight: float
    workflow: str | None = None
    prompt: str | None = None
    model: str | None = None
    fallbacks: Annotated[list[str], Field(default_factory=list)]
    profile: str | None = None
    parameters: dict[str, JsonValue] | None = None


class ExperimentVersion(Answer):
    """`active`: it takes runs in now. `workflow` null: runs of all."""

    name: str
    version: int
    description: str
    workflow: OrNull
    status: Literal["draft", "running", "paused", "ended"]
    active: bool
    starts_at: Moment | None
    ends_at: Moment | None
    salt: str
    variants: list[ExperimentVariant]
    created_at: Moment
    created_by: OrNull


class Assignment(Answer):
    experiment: str
    user_id: str
    variant: str
    active: bool
