"""The messages answered last, so that feedback which comes at once need not wait until they can be read."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry import trace

from spanledger.telemetry.evaluation import About
from spanledger.workflows.run import Order, Run

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


class Recent:
    """A gate that lets everything through and notes which message it was."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], About] = OrderedDict()

    @asynccontextmanager
    async def admit(self, order: Order, run: Run) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if run.context is not None:
                self._known[order.principal.tenant, order.message_id] = about(order, run)
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)

    def find(self, tenant: str, message_id: str) -> About | None:
        return self._known.get((tenant, message_id))
