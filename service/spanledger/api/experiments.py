"""A/B tests: `/v1/experiments`."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from spanledger.api.inputs import Fallbacks, Model, Parameters, Text, given
from spanledger.api.listing import ListingRoute
from spanledger.api.names import Name, NamePath, Parts
from spanledger.api.paging import Limit, NameCursor, after_name, name_of, page_of
from spanledger.api.parameters import Window
from spanledger.api.reader import Reads
from spanledger.api.schemas.common import NO_CONTENT, Page
from spanledger.api.schemas.configuration import Assignment, ExperimentVersion
from spanledger.configuration import Experiment, assigned
from spanledger.runtime.services import Caller
from spanledger.stats import experiments as stats

router = APIRouter(tags=["experiments"], route_class=ListingRoute)
OfUnit = Annotated[
    str, Query(max_length=256, description="A user, or a conversation for runs without a user.", examples=["ann"])
]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewVariant(Body):
    """What it decides of a run; nothing: the run as it would be anyway."""

    name: Name
    weight: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 1.0
    workflow: Name | None = None
    prompt: Annotated[Text, Field(max_length=256)] | None = None
    model: Model | None = None
    fallbacks: Fallbacks = []
    profile: Name | None = None
    parameters: Parameters | None = None


class NewExperiment(Body):
    """`workflow` empty: runs of all. The first variant is what the others are compared with. Another `salt` deals the
    users anew."""

    description: Annotated[Text, Field(max_length=2000)] = ""
    workflow: Name | Literal[""] = ""
    status: Literal["draft", "running", "paused", "ended"] = "draft"
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    salt: Annotated[Text, Field(min_length=1, max_length=100)] | None = None
    variants: Annotated[list[NewVariant], Field(min_length=2, max_length=20)]


@router.get("/v1/experiments")
def list_experiments(
    parts: Parts, principal: Caller, limit: Limit = 50, cursor: NameCursor = ""
) -> Page[ExperimentVersion]:
    """The present version of each, by name; `next_cursor` leads to the next page."""
    return Page(**page_of(parts.experiments.page(principal.tenant, after_name(cursor), limit), _to_schema, name_of))


@router.get("/v1/experiments/{name}")
def get_experiment(name: NamePath, parts: Parts, principal: Caller) -> ExperimentVersion:
    """One experiment in its present version."""
    return _to_schema(parts.experiments.get(principal.tenant, name))


@router.put("/v1/experiments/{name}")
def put_experiment(name: NamePath, body: NewExperiment, parts: Parts, principal: Caller) -> ExperimentVersion:
    """A new version, or the present one if nothing changed. Users stay in their variants as far as the weights let
    them."""
    document = body.model_dump(mode="json", exclude={"variants", "salt"})
    document |= {"salt": body.salt} if body.salt else {}
    document["variants"] = [
        {"name": variant.name, "weight": variant.weight, "overrides": _overrides(variant)} for variant in body.variants
    ]
    return _to_schema(parts.experiments.put(principal.tenant, name, document, principal.key_id))


@router.delete("/v1/experiments/{name}", **NO_CONTENT)
def delete_experiment(name: NamePath, parts: Parts, principal: Caller) -> None:
    """It takes in no more runs; those it had keep their variant on their spans."""
    parts.experiments.remove(principal.tenant, name, principal.key_id)


@router.get("/v1/experiments/{name}/assignment")
def get_assignment(name: NamePath, parts: Parts, principal: Caller, user_id: OfUnit = "") -> Assignment:
    """Which variant `user_id` (or a conversation, for runs without a user) gets or would get."""
    found = parts.experiments.get(principal.tenant, name)
    return Assignment(
        experiment=name,
        user_id=user_id,
        variant=assigned(found.salt, found.variants, user_id).name,
        active=found.active(datetime.now(UTC)),
    )


@router.get("/v1/experiments/{name}/results")
def get_experiment_results(name: NamePath, parts: Parts, reads: Reads, window: Window) -> stats.ExperimentResults:
    """Each variant's users, runs, failures, cost, latency, tokens and feedback in `[from, to)`, and what of the
    differences is more than chance."""
    versions = parts.experiments.versions(reads.tenant, name)
    found = parts.experiments.get(reads.tenant, name)
    deals = {(v.salt, tuple((x.name, x.weight) for x in v.variants)) for v in versions if v.status == "running"}
    return stats.results(
        reads.store,
        reads.tenant,
        name,
        {variant.name: variant.weight for variant in found.variants},
        len(deals) <= 1,
        window,
    )


def _overrides(variant: NewVariant) -> dict[str, Any]:
    found = variant.model_dump(exclude_none=True, exclude={"name", "weight", "parameters"})
    parameters = given(variant.parameters)
    return {name: value for name, value in found.items() if value} | ({"parameters": parameters} if parameters else {})


def _to_schema(found: Experiment) -> ExperimentVersion:
    return ExperimentVersion.model_validate(
        {
            "name": found.name,
            "version": found.version,
            "description": found.description,
            "workflow": found.workflow,
            "status": found.status,
            "active": found.active(datetime.now(UTC)),
            "starts_at": found.starts_at,
            "ends_at": found.ends_at,
            "salt": found.salt,
            "variants": [{"name": v.name, "weight": v.weight, **v.overrides} for v in found.variants],
            "created_at": found.created_at,
            "created_by": found.created_by,
        }
    )
