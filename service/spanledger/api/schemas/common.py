"""Parts of all areas: the base of answers, pages, problems."""

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")
# Of a route that answers nothing: `@router.delete(…, **NO_CONTENT)`.
NO_CONTENT: dict[str, Any] = {"status_code": 204, "response_class": Response}
# Besides the answer as JSON: the same as a stream, if the caller requested one.
EVENT_STREAM: dict[str, Any] = {"content": {"text/event-stream": {"schema": {"type": "string"}}}}


class Answer(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class Body(BaseModel):
    """Base of every request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Items(Answer, Generic[Item]):
    """All there are."""

    items: list[Item]

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}List"


class Page(Answer, Generic[Item]):
    """`next_cursor` leads to the next page; null: this is the last one."""

    items: list[Item]
    next_cursor: str | None

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__}Page"


class OpenAIError(Answer):
    """The `error` member that clients of OpenAI's API read."""

    message: str
    type: str
    param: str | None
    code: str


class Problem(Answer):
    """An error (RFC 9457). Some kinds have further members, for example `limit` and `reset_at`."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(examples=["urn:spanledger:problem:not-found"])]
    title: Annotated[str, Field(examples=["Not found"])]
    status: Annotated[int, Field(ge=400, le=599, examples=[404])]
    detail: Annotated[str, Field(description="What happened and what to do about it.")]
    correlation_id: Annotated[str, Field(description="The request's id, which the log holds too.")]
    error: OpenAIError | None = None
