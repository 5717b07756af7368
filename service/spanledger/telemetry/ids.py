"""The ids that every span and log record of a request carries.

They travel in the OpenTelemetry context, which follows tasks and threads but is never written into HTTP headers: a
model provider must not learn who our users are.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from opentelemetry import context as otel
from opentelemetry.trace import Span

from spanledger.telemetry import semconv

_KEY = otel.create_key("spanledger.ids")


@dataclass(frozen=True)
class Ids:
    """Empty = not known."""

    tenant: str = ""
    key_id: str = ""
    correlation_id: str = ""
    conversation_id: str = ""
    message_id: str = ""
    user_id: str = ""
    source: str = ""
    job_id: str = ""
    workflow: str = ""
    agent: str = ""
    agent_id: str = ""
    agent_version: str = ""
    prompt: str = ""
    prompt_version: str = ""
    experiment: str = ""
    variant: str = ""
    tool: str = ""  # the tool inside which we are

    def attributes(self) -> Mapping[str, str]:
        """The known ones by attribute name."""
        return self._attributes

    @cached_property
    def _attributes(self) -> dict[str, str]:
        return {key: value for name, key in _ATTRIBUTES if (value := getattr(self, name))}


_ATTRIBUTES = (
    ("tenant", semconv.TENANT),
    ("key_id", semconv.KEY_ID),
    ("correlation_id", semconv.CORRELATION_ID),
    ("conversation_id", semconv.CONVERSATION_ID),
    ("message_id", semconv.MESSAGE_ID),
    ("user_id", semconv.USER_ID),
    ("source", semconv.SOURCE),
    ("job_id", semconv.JOB_ID),
    ("workflow", semconv.WORKFLOW_NAME),
    ("agent", semconv.AGENT_NAME),
    ("agent_id", semconv.AGENT_ID),
    ("agent_version", semconv.AGENT_VERSION),
    ("prompt", semconv.PROMPT_NAME),
    ("prompt_version", semconv.PROMPT_VERSION),
    ("experiment", semconv.EXPERIMENT),
    ("variant", semconv.VARIANT),
    ("tool", semconv.TOOL_NAME),
)
NONE = Ids()


def current(context: otel.Context | None = None) -> Ids:
    """The ids of `context`, or of the current one."""
    found = otel.get_value(_KEY, context)
    return found if isinstance(found, Ids) else NONE


@contextmanager
def carry(**known: str) -> Iterator[Ids]:
    """Within the block the given ids are added to the current ones. Enter and leave it in the same task."""
    ids = replace(current(), **known)
    token = otel.attach(otel.set_value(_KEY, ids))
    try:
        yield ids
    finally:
        otel.detach(token)


def stamp(span: Span, ids: Ids) -> None:
    """Writes the ids on a span that had started before they were known."""
    if known := ids.attributes():
        span.set_attributes(known)
