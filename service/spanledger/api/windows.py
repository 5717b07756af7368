"""Parameters of time windows, shared by routes."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from spanledger.stats import times

MAX_TEXT = 1024

Outcome = Literal["ok", "error", ""]  # of a call or a tool; empty: not known


def many(meaning: str) -> Any:
    """A filter that may be repeated."""
    return Field([], max_length=1000, description=f"{meaning}; several are alternatives")


class Windowed(BaseModel):
    """`[from, to)`; both may be left out. RFC 3339, a date, or a time back from now: `-24h`, `-7d`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    start: str | None = Field(None, alias="from", max_length=64, description="first moment, RFC 3339 or -24h")
    end: str | None = Field(None, alias="to", max_length=64, description="first moment behind the window")

    @property
    def window(self) -> times.Window:
        """Raises BadRequest."""
        return times.window(self.start, self.end)


class Dimensions(Windowed):
    """Filters by the dimensions of the books; several values of one are alternatives."""

    provider: list[str] = many("canonical provider, e.g. openai")
    model: list[str] = many("model that served, as the books name it")
    user: list[str] = many("user")
    conversation: list[str] = many("conversation")
    workflow: list[str] = many("workflow")
    agent: list[str] = many("agent")
    tool: list[str] = many("tool")
    prompt: list[str] = many("prompt")
    variant: list[str] = many("experiment/variant")
    operation: list[str] = many("chat, embeddings, execute_tool …")
    service: list[str] = many("service")
    status: list[Outcome] = many("ok or error")

    def only(self) -> dict[str, list[str]]:
        """Dimension → allowed values, those that were given."""
        names = Dimensions.model_fields.keys() - Windowed.model_fields.keys()
        return {name: values for name in sorted(names) if (values := getattr(self, name))}
