"""Shapes of what OpenAI's clients send: messages, parts, tools, formats. Members without a name here are passed on.

A request that does not have these shapes is refused here: a provider's client would fail on it inside, or drop it.
"""

import json
from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spanledger.api.inputs import Text
from spanledger.errors import BadRequest

MAX_PARTS = 1_000  # of one message's content
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
TokenLimit = Annotated[int, Field(ge=1, lt=2**31)]
Bias = dict[str, Annotated[float, Field(ge=-100, le=100)]]
_Name = Annotated[Text, Field(min_length=1)]


class Asked(BaseModel):
    """A request. A parameter that is null is one that is not given, whatever its name: clients send all of theirs."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


class Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class StreamOptions(Shape):
    include_usage: bool = False


class ImageAddress(Shape):
    url: Text


class Recording(Shape):
    data: Text
    format: Text


class ContentPart(Shape):
    """A part of a message's content: OpenAI's kinds, and those that LiteLLM takes for other providers."""

    type: Text
    text: Text | None = None
    refusal: Text | None = None
    image_url: ImageAddress | Text | None = None
    input_audio: Recording | None = None
    file: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _holds_what_it_is(self) -> "ContentPart":
        if self.type not in _MEMBER_OF_PART:
            raise ValueError(f"unknown kind of part {self.type[:100]!r}")
        member = _MEMBER_OF_PART[self.type]
        if member and getattr(self, member) is None:
            raise ValueError(f"a part of type {self.type} needs {member}")
        return self


# The member that a part of each kind cannot do without, where its shape is known.
_MEMBER_OF_PART = {
    **dict.fromkeys(("text", "input_text", "output_text"), "text"),
    **{name: name for name in ("image_url", "input_audio", "file", "refusal")},
    **dict.fromkeys(("document", "video_url", "audio_url", "thinking", "redacted_thinking"), ""),
    **dict.fromkeys(("tool_result", "tool_use", "guarded_text"), ""),
}


class FunctionCall(Shape):
    name: _Name
    arguments: Text


class ToolCall(Shape):
    id: Text | None = None
    type: Text = "function"
    function: FunctionCall | None = None

    @model_validator(mode="after")
    def _holds_what_it_is(self) -> "ToolCall":
        if self.type == "function" and self.function is None:
            raise ValueError("a call of type function needs function")
        return self


class ChatMessage(Shape):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | Annotated[list[ContentPart], Field(max_length=MAX_PARTS, fail_fast=True)] | None = None
    name: Text | None = None
    tool_calls: Annotated[list[ToolCall], Field(fail_fast=True)] | None = None
    tool_call_id: Text | None = None
    function_call: FunctionCall | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "ChatMessage":
        if self.content is None and self.role not in ("assistant", "function"):
            raise ValueError(f"a message of role {self.role} needs content")
        return self


class ArgumentSchema(Shape):
    """The outermost level of a JSON Schema of arguments."""

    properties: dict[str, dict[str, Any] | bool] | None = None
    required: list[Text] | None = None


class OfferedFunction(Shape):
    name: _Name
    description: Text | None = None
    parameters: ArgumentSchema | None = None


class OfferedTool(Shape):
    type: Text
    function: OfferedFunction | None = None

    @model_validator(mode="after")
    def _holds_what_it_is(self) -> "OfferedTool":
        if self.type == "function" and self.function is None:
            raise ValueError("a tool of type function needs function")
        return self


class Prediction(Shape):
    """What the answer probably says, to be quicker."""

    type: Literal["content"]
    content: Text | list[dict[str, Any]]


class NamedTool(Shape):
    name: Text | None = None


class ToolChoice(Shape):
    """Of a tool, or of a function."""

    type: Text | None = None
    name: Text | None = None
    function: NamedTool | None = None


class AnswerSchema(Shape):
    name: Text | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class ResponseFormat(Shape):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: AnswerSchema | None = None

    @model_validator(mode="after")
    def _holds_what_it_is(self) -> "ResponseFormat":
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("a format of type json_schema needs json_schema")
        return self


class ResponsePart(Shape):
    """A part of an item's content or output, in the Responses API."""

    type: (
        Literal["input_text", "output_text", "text", "summary_text", "reasoning_text", "refusal"]
        | Literal["input_image", "input_file", "input_audio", "encrypted_content"]
    )
    text: Text | None = None

    @model_validator(mode="after")
    def _holds_what_it_is(self) -> "ResponsePart":
        if self.type.endswith("text") and self.text is None:
            raise ValueError(f"a part of type {self.type} needs text")
        return self


_Parts = Annotated[list[ResponsePart], Field(max_length=MAX_PARTS, fail_fast=True)]


class ResponseItem(Shape):
    """One item of the Responses API's input. Items that stand for what OpenAI keeps are refused."""

    type: (
        Literal["message", "function_call", "function_call_output", "custom_tool_call"]
        | Literal["custom_tool_call_output", "reasoning", "web_search_call"]
    ) = "message"
    role: Literal["system", "developer", "user", "assistant", "tool"] | None = None
    content: Text | _Parts | None = None
    name: Text | None = None
    arguments: Text | None = None
    call_id: Text | None = None
    output: Text | _Parts | None = None
    summary: _Parts | None = None

    @model_validator(mode="after")
    def _holds_what_it_is(self) -> "ResponseItem":
        for member in _MEMBERS_OF_ITEM.get(self.type, ()):
            if getattr(self, member) is None:
                raise ValueError(f"an item of type {self.type} needs {member}")
        return self


_MEMBERS_OF_ITEM = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name"),
}


class ResponseTool(Shape):
    """A tool of the Responses API, of the kinds that have an equal in chat completions."""

    type: Literal["function", "custom", "mcp", "namespace", "web_search", "web_search_preview"]
    name: _Name | None = None
    parameters: ArgumentSchema | None = None

    @model_validator(mode="after")
    def _holds_what_it_is(self) -> "ResponseTool":
        if self.type in ("function", "custom") and self.name is None:
            raise ValueError(f"a tool of type {self.type} needs name")
        return self


class TextFormat(Shape):
    """The format of an answer in the Responses API, whose schema stands beside its type."""

    type: Literal["text", "json_object", "json_schema"]
    name: Text | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class AnswerText(Shape):
    format: TextFormat | None = None
    verbosity: Text | None = None


class Reasoning(Shape):
    effort: Text | None = None
    summary: Text | None = None


# More of items that no answer here has, or that stand in it anyway. Log probabilities are refused, as in chats.
Included = (
    Literal["reasoning.encrypted_content", "message.input_image.image_url", "file_search_call.results"]
    | Literal["computer_call_output.output.image_url", "code_interpreter_call.outputs"]
    | Literal["web_search_call.results", "web_search_call.action.sources"]
)


_CHOSEN = frozenset({"function", "custom", "allowed_tools", "mcp", "web_search", "web_search_preview", None})


def refuse_choice(choice: ToolChoice | str | None, tools: Sequence[object] | None, named: Collection[str]) -> None:
    """Raises ValueError for the choice of a tool that is not offered: it would be dropped. `named`: the functions
    among the tools."""
    if choice in (None, "none", "auto"):
        return
    if not tools:
        raise ValueError("tool_choice: only with tools")
    kind, known = (choice.type, _CHOSEN) if isinstance(choice, ToolChoice) else (choice, {"required"})
    if kind not in known:
        raise ValueError(f"tool_choice: {str(kind)[:100]!r} is neither none, auto or required nor a kind of tool")
    if isinstance(choice, ToolChoice) and choice.type == "function":
        name = choice.function.name if choice.function is not None else choice.name
        if name is not None and name not in named:
            raise ValueError(f"tool_choice: {name[:100]!r} is none of the tools")


def refuse_stream_options(stream: bool, options: StreamOptions | None) -> None:
    """Raises ValueError for options without a stream."""
    if options is not None and not stream:
        raise ValueError("stream_options: only with stream")


def refuse_broken_text(request: BaseModel) -> None:
    """Raises BadRequest for half characters anywhere: members without a name here are passed on unseen."""
    try:
        json.dumps(request.model_dump(), ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise BadRequest("the body is not valid Unicode: it holds a lone surrogate") from exc
