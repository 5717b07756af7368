"""A run: the request and its configuration (Order), what may stop it (Gate, Guard), its result (Run, CallRecord)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

from opentelemetry import context as otel

from spanledger.pricing import Priced, Usage
from spanledger.principal import LOCAL, Principal
from spanledger.workflows.model import Chunk, Message, ModelReply
from spanledger.workflows.tool import Tool

Emit = Callable[[Chunk], None]


@dataclass(frozen=True, slots=True)
class Order:
    """Empty = not decided; the runner's defaults fill what is still empty after the last step."""

    principal: Principal = LOCAL
    conversation_id: str = ""
    message_id: str = ""
    user_id: str = ""
    source: str = "chat"  # chat | job | evaluation | analysis | import: who caused the run
    workflow: str = ""
    agent: str = ""
    agent_id: str = ""
    agent_version: str = ""
    profile: str = ""
    prompt: str = ""
    prompt_version: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)  # of the prompt's template
    experiment: str = ""
    variant: str = ""
    instructions: str = ""  # the system prompt; empty: the workflow's own
    guidance: str = ""  # added to the instructions, whosever they are: language, tone
    model: str = ""
    fallbacks: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)  # OpenAI's: temperature, max_tokens, …
    tools: tuple[str, ...] | None = None  # None: those of the workflow
    memory: Mapping[str, Any] = field(default_factory=dict)  # how much of the conversation the model sees
    cache: bool | None = None  # may be answered from the response cache; None: not decided, which is no

    @property
    def for_people(self) -> bool:
        """Whether a user or a schedule started the run: only then preferences and experiments apply."""
        return self.source in ("chat", "job")

    def completed(self, **values: Any) -> "Order":
        """With the given values where nothing is decided yet. Parameters are decided one by one; fallbacks belong to
        the model with which they come."""
        wanted = dict(values)
        if self.model or self.fallbacks:
            wanted.pop("fallbacks", None)
        parameters = {**wanted.pop("parameters", {}), **self.parameters}
        undecided = {name: value for name, value in wanted.items() if value and _is_open(getattr(self, name))}
        if wanted.get("cache") is False and self.cache is None:
            undecided["cache"] = False
        return replace(self, parameters=parameters, **undecided)

    def ids(self) -> dict[str, str]:
        """What every span and log record of the run carries."""
        tenant = self.principal.tenant
        return {
            "tenant": "" if tenant == LOCAL.tenant else tenant,
            "key_id": self.principal.key_id,
            "conversation_id": self.conversation_id,
            "message_id": self.message_id,
            "user_id": self.user_id,
            "source": "" if self.source == "chat" else self.source,
            "workflow": self.workflow,
            "agent": self.agent,
            "agent_id": self.agent_id,
            "agent_version": self.agent_version,
            "prompt": self.prompt,
            "prompt_version": self.prompt_version,
            "experiment": self.experiment,
            "variant": self.variant,
        }


def _is_open(value: Any) -> bool:
    return value is None or value == "" or value == () or value == {}


@dataclass(frozen=True, slots=True)
class Intent:
    """An estimate: input as we count it, output as far as the request allows. `usd` None: there is no price."""

    provider: str
    model: str
    tokens: int
    usd: Decimal | None


Guard = Callable[[Intent], Awaitable[None]]  # raises to keep a call from being made


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that fits; `score` is the cosine similarity, at most 1."""

    document_id: str
    chunk: int
    name: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What one attempt came to. `priced` is None when it failed and billed nothing, or when a cache answered."""

    provider: str
    model: str
    usage: Usage | None
    priced: Priced | None
    cached: bool = False


@dataclass(slots=True)
class Run:
    """One run of a workflow: what to ask, where its pieces go, and what has come of it so far."""

    order: Order
    stream: bool = False
    emit: Emit = lambda chunk: None
    messages: Sequence[Message] = ()  # what the run was given
    context: otel.Context | None = None  # in which the workflow's span is the current one, once it has begun
    records: list[CallRecord] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)  # checked before each call
    reply: ModelReply | None = None  # the last one
    tools: dict[str, Tool] | None = None  # offered, by the names shown to the model; None: not resolved yet
    hits: list[Hit] | None = None  # what was looked up; None: the workflow looks nothing up


Step = Callable[[Order], Order | Awaitable[Order]]  # decides one thing; raises BadRequest or Refused


class Gate(Protocol):
    """Lets a run through or raises (Refused, LimitExceeded) before anything was called."""

    def admit(self, order: Order, run: Run) -> AbstractAsyncContextManager[None]:
        """Around the run. When it ends, however it does, `run.records` holds what its calls came to."""
        ...
