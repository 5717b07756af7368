"""The messages answered last, so that feedback which comes at once need not wait until they can be read."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from opentelemetry import trace

from spanledger.telemetry.evaluation import About
from spanledger.workflows.run import CallRecord, Order, Run

KEPT = 10_000


def about(order: Order, run: Run) -> About:
    """The message of a run that has begun."""
    context = trace.get_current_span(run.context).get_span_context()
    return About(
        order.ids()["tenant"],
        order.message_id,
        trace.format_trace_id(context.trace_id) if context.is_valid else "",
        order.conversation_id,
        order.user_id,
    )


@dataclass(frozen=True, slots=True)
class RecentMessage:
    """A message whose run has ended, as its reply reported it, until the ledger has it."""

    about: About
    order: Order
    records: tuple[CallRecord, ...]
    started_ns: int
    ended_ns: int
    failed: bool


class Recent:
    """A gate that lets everything through and notes which message it was."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], RecentMessage] = OrderedDict()
        self._responses: OrderedDict[tuple[str, str], str] = OrderedDict()  # tenant and response id → message id

    @asynccontextmanager
    async def admit(self, order: Order, run: Run) -> AsyncIterator[None]:
        started_ns = time.time_ns()
        try:
            yield
        finally:
            if run.context is not None:
                times = (started_ns, time.time_ns())
                answered = RecentMessage(about(order, run), order, tuple(run.records), *times, failed=run.reply is None)
                self._known[order.principal.tenant, order.message_id] = answered
                if run.reply is not None and (response_id := str(run.reply.response.get("id") or "")):
                    self._responses[order.principal.tenant, response_id] = order.message_id
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
                while len(self._responses) > KEPT:
                    self._responses.popitem(last=False)

    def find(self, tenant: str, name: str) -> About | None:
        """By the id of a message, or of the response that answered it (`chatcmpl-…`, `resp_…`)."""
        answered = self._known.get((tenant, name)) or self._known.get((tenant, self._responses.get((tenant, name), "")))
        return answered.about if answered is not None else None

    def answered(self, tenant: str, message_id: str) -> RecentMessage | None:
        return self._known.get((tenant, message_id))
