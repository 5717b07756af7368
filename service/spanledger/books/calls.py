"""A provider call, as one span or several report it.

`Call.rows` lists the spans that were joined; audit shows them. A call that a response cache answered (`cached`) is no
provider call: it belongs to its message and is not billed.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from spanledger.dialects.lexicon import lexicon
from spanledger.dialects.tables import OWN_SCOPE

CALL_ROLES = frozenset({"inference", "embedding", "rerank"})
WITHOUT_ID = frozenset({"embedding", "rerank"})  # roles of calls whose answers have no id
FETCH = "fetch_response"  # operation that asks for the answer of an earlier call
USAGE = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)


Span = dict[str, Any]


@dataclass(slots=True)
class Call:
    """One provider call. `rows`: indexes of the spans that report it; `row`: the span that represents it."""

    row: int
    rows: list[int]
    tenant: str
    trace: str
    span_id: str
    service: str
    scopes: frozenset[str]
    start_ns: int
    end_ns: int
    role: str
    operation: str
    provider: str
    request_model: str
    response_model: str
    models: frozenset[str]
    response_id: str
    service_tier: str
    error: bool
    usage: dict[str, int | None]
    estimated: bool
    claim_usd: Decimal | None
    claim_source: str
    conversation: str
    user: str
    finish_reason: str = ""
    cached: bool = False
    count: int = 1  # number of calls: above 1 for a step that reports several
    shows_answer: bool = True  # False: marked as a call, but the span shows no answer
    is_record: bool = False  # of what a call has used: not the call itself, unless that is not there
    parent: str = ""
    server: str = ""  # the host that was called
    level: int = 0  # of a telling: number of tellings of the call below it in its trace
    tellings: list["Call"] = field(default_factory=list)  # one per span, when there are several
    in_tool: bool = False  # a tool span stands between the call and the nearest call or agent above it
    rested: bool = False  # its usage was derived: a total minus other calls
    copies: list["Call"] = field(default_factory=list)

    @property
    def measured(self) -> bool:
        return self.usage["input_tokens"] is not None or self.usage["output_tokens"] is not None

    @property
    def failed(self) -> bool:
        """Ended in an error, without known usage or cost. A stream that the client left counts as served."""
        return self.error and not self.measured and not self.claim_usd and self.finish_reason != "aborted"

    @property
    def is_kept(self) -> bool:
        """Whether the provider keeps the answer, so that an application may ask for it again and again."""
        return self.operation == FETCH or lexicon().kept_ids.match(self.response_id) is not None

    @property
    def is_relayed(self) -> bool:
        """Whether a gateway (LiteLLM) made the response id; the provider's response has another one."""
        return self.response_id.startswith("chatcmpl-") and self.provider in lexicon().sets["no_chatcmpl_ids"]

    @property
    def is_fetched_only(self) -> bool:
        """Whether all spans of a call report only that its answer was fetched: no call of its own."""
        operations = {one.operation for one in self.tellings or [self] if one.role in CALL_ROLES}
        return operations == {FETCH}

    @property
    def is_own(self) -> bool:
        """Whether a span of our own service reports it."""
        return has_own(self.scopes)

    @property
    def by_host(self) -> bool:
        """Whether the host that was called is the provider's own."""
        return self.server != "" and lexicon().provider_of_host(self.server) == self.provider

    @property
    def is_named(self) -> bool:
        """Whether the provider is one by name, and no gateway's or host's name."""
        return lexicon().is_provider(self.provider)

    @property
    def model(self) -> str:
        return self.response_model or self.request_model


@lru_cache(maxsize=10_000)
def has_own(scopes: frozenset[str]) -> bool:
    """Whether one of the instrumentations is our own service's."""
    return any(scope.startswith(OWN_SCOPE) for scope in scopes)


def call_of(row: int, span: Span) -> Call:
    """The call that one span reports."""
    models = frozenset(m.lower().rsplit("/", 1)[-1] for m in (span["request_model"], span["response_model"]) if m)
    return Call(
        row=row,
        rows=[row],
        tenant=span["tenant"],
        trace=span["trace_id"],
        span_id=span["span_id"],
        service=span["service"],
        scopes=frozenset({span["scope"]}),
        start_ns=span["started_at_ns"],
        end_ns=span["started_at_ns"] + span["duration_ns"],
        role=span["role"],
        operation=span["operation"],
        provider=span["provider"],
        request_model=span["request_model"],
        response_model=span["response_model"],
        models=models,
        response_id=span["response_id"],
        service_tier=span["service_tier"],
        error=span["status"] == "error",
        usage={name: span[name] for name in USAGE},
        estimated=bool(span["usage_estimated"]),
        claim_usd=span["cost_claim_usd"],
        claim_source=span["cost_claim_source"],
        conversation=span["conversation_id"],
        user=span["user_id"],
        finish_reason=span["finish_reason"],
        cached=span["response_cache"] == "hit",
        count=span["told_calls"] or 1,
        shows_answer=span["told_calls"] != 0,
        is_record=span["told_calls"] == 0 and span["output_tokens"] is not None,
        parent=span["parent_span_id"],
        server=span["server_address"],
    )


def same_counts(a: Call, b: Call) -> bool:
    return all(
        a.usage[n] is None or b.usage[n] is None or a.usage[n] == b.usage[n] for n in ("input_tokens", "output_tokens")
    )
