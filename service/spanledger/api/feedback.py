"""Feedback of people and verdicts of evaluators: `/v1/messages/{id}/feedback`, `/v1/messages/{id}/evaluations`,
`/v1/evaluators`."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spanledger.access import DEFAULT_TENANT, Principal
from spanledger.api.conversations import message_named
from spanledger.api.inputs import Id, Model, Text
from spanledger.api.names import Name, NamePath, Parts
from spanledger.api.paging import Limit, NameCursor, after_name, name_of, page_of
from spanledger.api.parameters import MessageId
from spanledger.api.reader import AppServices, Reads
from spanledger.api.schemas import feedback as schemas
from spanledger.api.schemas.common import NO_CONTENT, Page
from spanledger.errors import BadRequest, NotFound
from spanledger.evaluations import Evaluator
from spanledger.evaluations.automatic import question_of
from spanledger.evaluations.evaluators import KIND as EVALUATOR
from spanledger.evaluations.verdict import Exchange
from spanledger.runtime.services import Caller, Services
from spanledger.stats import evaluations as stats
from spanledger.telemetry.evaluation import About, Evaluation, record
from spanledger.workflows.memory import is_answered, of_message

router = APIRouter(tags=["feedback"])

MAX_COMMENT = 10_000
MAX_JUDGED = 512 * 1024
FEEDBACK, HUMAN = "feedback", "human"
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Line = Annotated[Text, Field(min_length=1, max_length=1000)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Feedback(Body):
    """`rating` −1 or 1, or `score` from 0 to 1. New feedback of the same author replaces the old one."""

    rating: Literal[-1, 1] | None = None
    score: Share | None = None
    comment: Annotated[Text, Field(max_length=MAX_COMMENT)] = ""
    user_id: Id | None = None
    labels: Annotated[list[Annotated[Text, Field(min_length=1, max_length=64)]], Field(max_length=20)] = []

    @model_validator(mode="after")
    def _one_of_both(self) -> "Feedback":
        if (self.rating is None) == (self.score is None):
            raise ValueError("give either rating or score")
        return self

    @property
    def value(self) -> float:
        return self.score if self.score is not None else (self.rating + 1) / 2 if self.rating is not None else 0.0


class Judge(Body):
    kind: Literal["judge"]
    criteria: Annotated[Text, Field(min_length=1, max_length=8000)]
    model: Model | None = None
    pass_from: Share = 0.5


class Contains(Body):
    kind: Literal["contains"]
    texts: Annotated[list[Line], Field(min_length=1, max_length=100)]
    want: Literal["any", "all", "none"] = "any"
    case_sensitive: bool = False


class Regex(Body):
    kind: Literal["regex"]
    pattern: Line
    expect: bool = True


class Length(Body):
    kind: Literal["length"]
    unit: Literal["characters", "words", "tokens"] = "characters"
    min: Annotated[int, Field(ge=0)] | None = None
    max: Annotated[int, Field(ge=0)] | None = None


class Json(Body):
    """With `schema`, a JSON Schema (2020-12) that the answer must fit."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    kind: Literal["json"]
    json_schema: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class NewEvaluator(Body):
    """`check` says what it looks at. With a `sample_rate` it judges that share of the runs of `workflow` by itself."""

    check: Annotated[Judge | Contains | Regex | Length | Json, Field(discriminator="kind")]
    workflow: Name | Literal[""] = ""
    sample_rate: Share = 0.0
    description: Annotated[Text, Field(max_length=2000)] = ""


class Evaluate(Body):
    """By which evaluators; `question` and `answer` for a message whose words this service did not keep."""

    evaluators: Annotated[list[Name], Field(min_length=1, max_length=20)]
    question: Annotated[Text, Field(max_length=MAX_JUDGED)] | None = None
    answer: Annotated[Text, Field(max_length=MAX_JUDGED)] | None = None


async def _about(message_id: MessageId, parts: Parts, reads: Reads) -> About:
    """The message, if it is one of this tenant's, by its id or by that of the response. Raises NotFound."""
    if (recent := parts.recent.find(reads.tenant, message_id)) is not None:
        return recent
    found = await asyncio.to_thread(message_named, reads, message_id)
    tenant = "" if reads.tenant == DEFAULT_TENANT else reads.tenant
    return About(tenant, found.message_id, found.trace_id, found.conversation_id or "", found.user_id or "")


Subject = Annotated[About, Depends(_about)]


@router.post("/v1/messages/{message_id}/feedback", status_code=202)
async def give_feedback(subject: Subject, body: Feedback, services: AppServices) -> schemas.TakenFeedback:
    """Taken as an event; `GET` shows it as soon as it is loaded."""
    value = body.value
    feedback = Evaluation(
        FEEDBACK,
        HUMAN,
        score=value,
        label="positive" if value > 0.5 else "negative" if value < 0.5 else "neutral",
        explanation=body.comment,
        user_id=body.user_id or subject.user_id,
        tags=tuple(body.labels),
    )
    record(services.telemetry, feedback, subject)
    return schemas.TakenFeedback(message_id=subject.message_id, trace_id=subject.trace_id or None, score=value)


@router.get("/v1/messages/{message_id}/feedback")
async def get_feedback(subject: Subject, reads: Reads) -> schemas.MessageFeedback:
    """People's feedback on a message, newest first; feedback that its author replaced is `superseded`."""
    found = await asyncio.to_thread(stats.evaluations, reads.store, reads.tenant, subject.message_id)
    items = [item for item in found if item.name == FEEDBACK and item.evaluator == HUMAN and item.sealed]
    scores = [item.score for item in items if not item.superseded and item.score is not None]
    return schemas.MessageFeedback(
        message_id=subject.message_id, score=sum(scores) / len(scores) if scores else None, items=items
    )


@router.post("/v1/messages/{message_id}/evaluations")
async def evaluate_message(
    subject: Subject, body: Evaluate, parts: Parts, services: AppServices, principal: Caller
) -> schemas.MessageVerdicts:
    """Judges a message now. Its words come from the conversation's history, or with the request."""
    parts.references.check_named(principal.tenant, EVALUATOR, body.evaluators)
    evaluators = [parts.evaluators.get(principal.tenant, name) for name in dict.fromkeys(body.evaluators)]
    exchange = await _exchange(subject, body, services, principal)
    evaluations = await asyncio.gather(
        *(parts.evaluators.evaluate(services.runner, principal, e, exchange, subject) for e in evaluators)
    )
    return schemas.MessageVerdicts.model_validate(
        {"message_id": subject.message_id, "items": [asdict(evaluation) for evaluation in evaluations]}
    )


@router.get("/v1/messages/{message_id}/evaluations")
async def list_evaluations(subject: Subject, reads: Reads) -> schemas.MessageEvaluations:
    """All evaluations of a message, people's feedback included, newest first."""
    found = await asyncio.to_thread(stats.evaluations, reads.store, reads.tenant, subject.message_id)
    return schemas.MessageEvaluations(message_id=subject.message_id, items=found)


@router.get("/v1/evaluators")
def list_evaluators(
    parts: Parts, principal: Caller, limit: Limit = 50, cursor: NameCursor = ""
) -> Page[schemas.EvaluatorVersion]:
    """The present version of each, by name."""
    return Page(**page_of(parts.evaluators.page(principal.tenant, after_name(cursor), limit), _to_schema, name_of))


@router.get("/v1/evaluators/{name}")
def get_evaluator(name: NamePath, parts: Parts, principal: Caller) -> schemas.EvaluatorVersion:
    """One evaluator in its present version."""
    return _to_schema(parts.evaluators.get(principal.tenant, name))


@router.put("/v1/evaluators/{name}")
def put_evaluator(name: NamePath, body: NewEvaluator, parts: Parts, principal: Caller) -> schemas.EvaluatorVersion:
    """A new version, or the present one if nothing changed."""
    if name == FEEDBACK:
        raise BadRequest("`feedback` is what people say; give the evaluator another name")
    settings = body.check.model_dump(by_alias=True, exclude={"kind"})
    document = {"kind": body.check.kind, "settings": settings, **body.model_dump(exclude={"check"})}
    return _to_schema(parts.evaluators.put(principal.tenant, name, document, principal.key_id))


@router.delete("/v1/evaluators/{name}", **NO_CONTENT)
def delete_evaluator(name: NamePath, parts: Parts, principal: Caller) -> None:
    """Removes an evaluator; its past evaluations stay."""
    parts.evaluators.remove(principal.tenant, name, principal.key_id)


async def _exchange(subject: About, body: Evaluate, services: Services, principal: Principal) -> Exchange:
    """The question and the answer. Raises NotFound if their content was not kept."""
    if body.answer is not None:
        return Exchange(body.question or "", body.answer)
    remembered = await services.runner.remembered(principal.tenant, subject.conversation_id)
    exchange = of_message(remembered, subject.message_id)
    if not exchange or not is_answered(exchange):
        raise NotFound(
            "the words of this message were not kept here, or it was never answered; send question and answer along"
        )
    return Exchange(question_of(exchange), str(exchange[-1].get("content") or ""))


def _to_schema(found: Evaluator) -> schemas.EvaluatorVersion:
    return schemas.EvaluatorVersion(
        name=found.name,
        version=found.version,
        check={"kind": found.kind, **found.settings},
        workflow=found.workflow,
        sample_rate=found.sample_rate,
        description=found.description,
    )
