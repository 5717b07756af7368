"""Prompts, profiles, users' preferences and names for models."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from spanledger.api.inputs import Fallbacks, Memory, Model, ModelOrNone, Parameters, Text, given
from spanledger.api.listing import ListingRoute
from spanledger.api.names import PATTERN, Name, NamePath, Parts
from spanledger.api.paging import Limit, NameCursor, after_name, before_version, name_of, page_of
from spanledger.api.parameters import Cursor, UserId, Window
from spanledger.api.reader import AppServices, Reads
from spanledger.api.schemas.common import NO_CONTENT, Page
from spanledger.api.schemas.configuration import ModelNames, Profile, PromptVersion, UserPreferences
from spanledger.configuration import Prompt
from spanledger.configuration.profiles import PROFILE
from spanledger.configuration.template import NAME
from spanledger.errors import NotFound
from spanledger.pricing import PriceBook, canonical
from spanledger.runtime.services import Caller
from spanledger.stats import effectiveness as stats
from spanledger.stats.usage import decimal_text
from spanledger.store.registry import Entry

router = APIRouter(tags=["prompts"], route_class=ListingRoute)

MAX_TEXT = 256 * 1024
Variable = Annotated[str, Field(pattern=f"^{NAME}$")]
Template = Annotated[Text, Field(min_length=1, max_length=MAX_TEXT)]
Note = Annotated[Text, Field(max_length=2000)]


Reference = Annotated[
    str,
    Path(
        min_length=1,
        max_length=256,
        description="`name`, `name@3`, `name@latest` or `name@label`.",
        examples=["greeting@3"],
    ),
]
LabelPath = Annotated[str, Path(pattern=PATTERN, description="A label.", examples=["production"])]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewPrompt(Body):
    """`text` with `{{ variables }}`; `defaults` for those that a run may leave out."""

    text: Template
    description: Note = ""
    defaults: dict[Variable, Text] = {}


class Label(Body):
    version: Annotated[int, Field(ge=1)]


class NewProfile(Body):
    description: Note = ""
    model: Model | None = None
    fallbacks: Fallbacks = []
    parameters: Parameters | None = None
    memory: Memory | None = None
    cache: bool | None = None
    instructions: Template | None = None


class Preferences(Body):
    """What a user wishes for. Language is a tag like `de` or `pt-BR`, tone a few plain words."""

    profile: Name | None = None
    model: Model | None = None
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")] | None = None
    tone: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z -]{0,39}$")] | None = None
    memory: Memory | None = None
    cache: bool | None = None


class KnownModel(Body):
    """`model`: LiteLLM's name. A retired one is refused, or answered by what has `replaced_by` it."""

    model: Model
    state: Literal["enabled", "retired"] = "enabled"
    replaced_by: ModelOrNone = ""
    parameters: Parameters | None = None
    fallbacks: Fallbacks = []


class Models(Body):
    """`models` by alias. `default` is used if a request names no model; `only_registered` refuses every other name."""

    default: ModelOrNone = ""
    only_registered: bool = False
    models: Annotated[dict[Model, KnownModel], Field(max_length=1000)] = {}


@router.get("/v1/prompts")
def list_prompts(parts: Parts, principal: Caller, limit: Limit = 50, cursor: NameCursor = "") -> Page[PromptVersion]:
    """The newest version of each, by name; `next_cursor` leads to the next page."""
    found = parts.prompts.page(principal.tenant, after_name(cursor), limit)
    return Page(**page_of(found, _to_schema, name_of))


@router.get("/v1/prompts/{name}")
def get_prompt(name: Reference, parts: Parts, principal: Caller) -> PromptVersion:
    """One version: `name` is what runs by that name get, `name@3` the third, `name@latest` the newest, `name@label`."""
    return _to_schema(parts.prompts.get(principal.tenant, name))


@router.put("/v1/prompts/{name}")
def put_prompt(name: NamePath, body: NewPrompt, parts: Parts, principal: Caller) -> PromptVersion:
    """A new version, or the present one if nothing changed."""
    found = parts.prompts.put(principal.tenant, name, body.text, body.description, body.defaults, principal.key_id)
    return _to_schema(found)


@router.delete("/v1/prompts/{name}", **NO_CONTENT)
def delete_prompt(name: NamePath, parts: Parts, principal: Caller) -> None:
    """Runs can use it no more; its versions stay readable."""
    parts.prompts.remove(principal.tenant, name, principal.key_id)


@router.get("/v1/prompts/{name}/versions")
def list_prompt_versions(
    name: NamePath, parts: Parts, principal: Caller, limit: Limit = 50, cursor: Cursor = ""
) -> Page[PromptVersion]:
    """Newest first; `next_cursor` leads to the next page."""
    found = parts.prompts.versions(principal.tenant, name, before_version(cursor), limit)
    return Page(**page_of(found, _to_schema, lambda prompt: prompt.version))


@router.put("/v1/prompts/{name}/labels/{label}")
def put_prompt_label(name: NamePath, label: LabelPath, body: Label, parts: Parts, principal: Caller) -> PromptVersion:
    """Pins a label to a version; `production` is what a bare name means."""
    return _to_schema(parts.prompts.label(principal.tenant, name, label, body.version, principal.key_id))


@router.delete("/v1/prompts/{name}/labels/{label}", **NO_CONTENT)
def delete_prompt_label(name: NamePath, label: LabelPath, parts: Parts, principal: Caller) -> None:
    """Takes a label away."""
    parts.prompts.label(principal.tenant, name, label, None, principal.key_id)


@router.get("/v1/prompts/{name}/effectiveness")
def get_prompt_effectiveness(name: NamePath, parts: Parts, reads: Reads, window: Window) -> stats.Effectiveness:
    """Cost, latency, failures, feedback and evaluations by version, of the runs that started in `[from, to)`."""
    parts.prompts.versions(reads.tenant, name)  # raises for one that never was
    return stats.effectiveness(reads.store, reads.tenant, name, window)


@router.get("/v1/profiles")
def list_profiles(parts: Parts, principal: Caller, limit: Limit = 50, cursor: NameCursor = "") -> Page[Profile]:
    """The profiles, by name; `next_cursor` leads to the next page."""
    found = parts.registry.page(principal.tenant, PROFILE, after_name(cursor), limit)
    return Page(**page_of(found, _kept, name_of))


@router.get("/v1/profiles/{name}")
def get_profile(name: NamePath, parts: Parts, principal: Caller) -> Profile:
    """One profile in its present version."""
    found = parts.registry.get(principal.tenant, PROFILE, name)
    if found is None:
        raise NotFound(f"there is no profile {name!r}")
    return _kept(found)


@router.put("/v1/profiles/{name}")
def put_profile(name: NamePath, body: NewProfile, parts: Parts, principal: Caller) -> Profile:
    """A new version, or the present one if nothing changed."""
    return _kept(parts.profiles.put(principal.tenant, name, given(body), principal.key_id))


@router.delete("/v1/profiles/{name}", **NO_CONTENT)
def delete_profile(name: NamePath, parts: Parts, principal: Caller) -> None:
    """Removes a profile."""
    if not parts.registry.remove(principal.tenant, PROFILE, name, principal.key_id):
        raise NotFound(f"there is no profile {name!r}")


@router.get("/v1/users/{user_id}/preferences")
def get_preferences(user_id: UserId, parts: Parts, principal: Caller) -> UserPreferences:
    """The user's preferences; empty for a user without any."""
    return UserPreferences(user_id=user_id, **parts.profiles.preferences(principal.tenant, user_id))


@router.put("/v1/users/{user_id}/preferences")
def put_preferences(user_id: UserId, body: Preferences, parts: Parts, principal: Caller) -> UserPreferences:
    """Replaces them; `{}` takes them back."""
    entry = parts.profiles.put_preferences(principal.tenant, user_id, given(body), principal.key_id)
    return UserPreferences(user_id=user_id, **entry.body)


@router.get("/v1/model-registry")
def get_model_registry(parts: Parts, principal: Caller, services: AppServices) -> ModelNames:
    """Names for models, with what the price book says that they cost today."""
    version, body = parts.models.get(principal.tenant)
    book = services.ledger.book
    known = {alias: {**entry, "prices": _prices(book, entry["model"])} for alias, entry in body["models"].items()}
    return ModelNames.model_validate({**body, "version": version, "models": known})


@router.put("/v1/model-registry")
def put_model_registry(body: Models, parts: Parts, principal: Caller) -> ModelNames:
    """Replaces the whole registry of this tenant."""
    known = {
        alias: {**entry.model_dump(), "parameters": given(entry.parameters)} for alias, entry in body.models.items()
    }
    document = {"default": body.default, "only_registered": body.only_registered, "models": known}
    parts.references.check_registry(document)
    version = parts.models.put(principal.tenant, document, principal.key_id)
    return ModelNames.model_validate({**document, "version": version})


def _to_schema(found: Prompt) -> PromptVersion:
    return PromptVersion.model_validate(
        {
            "name": found.name,
            "version": found.version,
            "text": found.text,
            "description": found.description,
            "variables": found.variables,
            "defaults": dict(found.defaults),
            "labels": list(found.labels),
            "created_at": found.created_at,
            "created_by": found.created_by,
        }
    )


def _kept(entry: Entry) -> Profile:
    facts = {"name": entry.name, "version": entry.version, "created_at": entry.created_at}
    return Profile.model_validate({**entry.body, **facts})


def _prices(book: PriceBook, model: str) -> dict[str, str] | None:
    """USD per million tokens; None: the book has no price."""
    provider, _, bare = model.partition("/")
    price = book.lookup(canonical(provider), bare, datetime.now(UTC))
    if price is None:
        return None
    rates = price.rates()
    named = (("input", rates.input), ("cache_read", rates.cache_read), ("output", rates.output))
    return {f"{name}_usd_per_million": decimal_text(Decimal(rate) / 10**9) for name, rate in named if rate is not None}
