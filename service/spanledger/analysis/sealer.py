"""Seals conversations: two stages (ask a model, then report), one statement, corrections as further versions.

A conversation seals when nothing happened in it for `seal_after_s`. What was found is one span `seal conversation` and
one event `spanledger.statement` in it; both are read back from ClickHouse like everything else. The span, and the
model's call below it, belong to no conversation, so that sealing never changes what is sealed.
"""

import asyncio
import logging
import time
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from opentelemetry import context as otel
from opentelemetry import trace

from spanledger.access import DEFAULT_TENANT
from spanledger.analysis import analyst, content
from spanledger.analysis.analyst import Completes, Findings
from spanledger.analysis.content import Transcript
from spanledger.analysis.statement import EVENT, attributes, drawn_up
from spanledger.analysis.touched import Activity, Key, Touched
from spanledger.errors import Elsewhere, NotFound, SpanledgerError, telemetry_message
from spanledger.settings import Settings
from spanledger.stats import conversations
from spanledger.stats.conversations import Conversation
from spanledger.stats.statements import Statement, newest_statements
from spanledger.store.client import Store
from spanledger.telemetry import Telemetry, ids

QUIET_S = (
    60.0  # the books must have been silent about a conversation for this long, or for seal_after_s if that is less
)
AT_ONCE = 4
PER_LOOK = 200
TOGETHER = 20  # conversations that are read at a time; the last of them is sealed five seconds later
APART_S = 0.25  # between the starts of two that change: much history, as after an import, must not starve readers
PAUSES = 8  # times as long as the reading of conversations takes, for the same reason
REMEMBERED = 10_000  # statements that may not be readable yet
_log = logging.getLogger(__name__)


class Remembers(Completes, Protocol):
    """The part of the runner that is needed here."""

    async def remembered(self, tenant: str, conversation_id: str) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Known:
    """A conversation as the books have it, and the newest version of its statement."""

    found: Conversation
    before: Statement | None


class Sealer:
    """One per service; belongs to the event loop on which `start` is called."""

    def __init__(self, settings: Settings, store: Store, telemetry: Telemetry) -> None:
        self._settings = settings
        self._store = store
        self._telemetry = telemetry
        self._runner: Remembers | None = None
        self._touched: Touched | None = None
        self._task: asyncio.Task[None] | None = None
        self._locks: weakref.WeakValueDictionary[Key, asyncio.Lock] = weakref.WeakValueDictionary()
        self._recent: OrderedDict[Key, Statement] = OrderedDict()
        self.sealed = 0
        self.failed = 0

    async def start(self, runner: Remembers) -> None:
        self._runner = runner
        if self._settings.seal_after_s > 0:
            self._task = asyncio.create_task(self._watch(), name="sealer")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def seal(self, tenant: str, conversation_id: str) -> Statement:
        """The conversation's statement as of now: a new version if the books say something new. Raises NotFound."""
        if self._runner is None:
            raise Elsewhere("this process has not the chat role, whose part sealing is; ask one that has")
        return await self._seal((tenant, conversation_id), None)

    async def _seal(self, key: Key, known: Known | None) -> Statement:
        """`known`: what was read before, as far as it still holds."""
        tenant, conversation_id = key
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            if known is None or self._newer(key, known.before) is not known.before:
                known = (await asyncio.to_thread(self._read, tenant, [conversation_id])).get(conversation_id)
            if known is None:
                raise NotFound(f"there is no conversation {conversation_id!r}")
            before = self._newer(key, known.before)
            version = drawn_up(known.found, before, time.time_ns())
            if version is None:
                assert before is not None
                return before
            sealed = await self._report(tenant, version, before)
            self._recent[key] = sealed
            while len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
            self.sealed += 1
            return sealed

    def _read(self, tenant: str, conversation_ids: Sequence[str]) -> dict[str, Known]:
        """Those that are there."""
        found = conversations.by_ids(self._store, tenant, conversation_ids)
        before = newest_statements(self._store, tenant, conversation_ids) if found else {}
        return {one.conversation_id: Known(one, before.get(one.conversation_id)) for one in found}

    def _newer(self, key: Key, stored: Statement | None) -> Statement | None:
        """The newest version, also one that is on its way into the store."""
        recent = self._recent.get(key)
        if recent is None or (stored is not None and stored.version >= recent.version):
            return stored
        return recent

    async def _report(self, tenant: str, version: Statement, before: Statement | None) -> Statement:
        """Stage one and two."""
        tracer = self._telemetry.tracer("spanledger.analysis")
        named: dict[str, str | int] = {
            "spanledger.analysis.conversation.id": version.conversation_id,
            "spanledger.analysis.version": version.version,
        }
        own = "" if tenant == DEFAULT_TENANT else tenant
        with (
            _outside(),
            ids.carry(tenant=own, source=analyst.SOURCE),
            tracer.start_as_current_span("seal conversation", attributes=named) as span,
        ):
            state, findings, source = await self._analysed(tenant, version, before)
            span.set_attribute("spanledger.analysis.state", state)
            if findings is not None:
                span.set_attributes(
                    {
                        **findings.attributes(self._telemetry.capture_content),
                        "spanledger.analysis.content_source": source,
                    }
                )
            context = span.get_span_context()
            trace_id = trace.format_trace_id(context.trace_id) if context.is_valid else ""
            sealed = replace(version, analysis=state, trace_id=trace_id)
            body = f"conversation sealed, version {sealed.version} ({sealed.cause})"
            fields = attributes(sealed, tenant, self._telemetry.seal_secret)
            self._telemetry.event(EVENT, body, fields, warning=sealed.cause == "late")
        return sealed

    async def _analysed(
        self, tenant: str, version: Statement, before: Statement | None
    ) -> tuple[str, Findings | None, str]:
        """How the analysis went, what it found, and where the content was from."""
        if before is not None and "message_count" not in version.difference and before.analysis in {"done", "reused"}:
            return "reused", None, ""
        transcript = await self._transcript(tenant, version.conversation_id)
        if not transcript.lines:
            return f"none: {content.NOTHING}", None, ""
        model = self._settings.analysis_model
        if model == analyst.RULES_ONLY:
            return "done", analyst.by_rules(transcript), transcript.source
        assert self._runner is not None
        try:
            return "done", await analyst.ask(self._runner, tenant, model, transcript), transcript.source
        except SpanledgerError as exc:
            _log.warning("a conversation is sealed without a model's analysis: %s", telemetry_message(exc))
            return "done", analyst.by_rules(transcript), transcript.source

    async def _transcript(self, tenant: str, conversation_id: str) -> Transcript:
        assert self._runner is not None
        own = content.of_history(await self._runner.remembered(tenant, conversation_id))
        if own.lines:
            return own
        return await asyncio.to_thread(content.of_spans, self._store, tenant, conversation_id)

    async def _watch(self) -> None:
        more = False
        while True:
            if not more:
                await asyncio.sleep(self._settings.seal_scan_s)
            more = False
            try:
                more = await self._look()
            except (SpanledgerError, OSError) as exc:  # no store or no disk for a while; the next look sees the same
                self.failed += 1
                _log.warning("conversations could not be looked at for sealing: %s", exc)
            except Exception:  # noqa: BLE001 — one failure must not end all sealing
                self.failed += 1
                _log.exception("conversations could not be looked at for sealing")

    async def _look(self) -> bool:
        """Seals what is due, as far as one look goes; whether more may be due."""
        if self._touched is None:
            self._touched = Touched(self._store, self._settings.data_dir)
        touched = self._touched
        await self._read_on(touched)
        after = self._settings.seal_after_s
        due = await asyncio.to_thread(touched.due, after, min(QUIET_S, after), PER_LOOK)
        finished = 0
        for group in _groups(due):
            finished += await self._look_at(touched, group)
        await asyncio.to_thread(touched.remember)
        return len(due) == PER_LOOK and finished > 0

    async def _look_at(self, touched: Touched, group: Sequence[tuple[Key, Activity]]) -> int:
        """Seals those conversations of a tenant that have changed; how many of all need not be looked at again."""
        began, tenant = time.monotonic(), group[0][0][0]
        known = await asyncio.to_thread(self._read, tenant, [conversation_id for (_, conversation_id), _ in group])
        took = time.monotonic() - began
        at_once, finished = asyncio.Semaphore(AT_ONCE), 0

        async def one(key: Key, seen: Activity) -> None:
            nonlocal finished
            async with at_once:
                if await self._sealed(key, known.get(key[1])):
                    touched.done(key, seen)
                    finished += 1

        async with asyncio.TaskGroup() as running:
            for key, seen in group:
                running.create_task(one(key, seen))
                if self._changes(key, known.get(key[1])):
                    await asyncio.sleep(APART_S)
        await asyncio.sleep(PAUSES * took)
        return finished

    def _changes(self, key: Key, known: Known | None) -> bool:
        """Whether a conversation gets a new version."""
        return known is not None and drawn_up(known.found, self._newer(key, known.before), 0) is not None

    async def _read_on(self, touched: Touched) -> None:
        """Reads what was posted, with a pause after each stretch as long as it took: readers of the books go first."""
        more, on = True, False
        while more:
            began = time.monotonic()
            more = await asyncio.to_thread(touched.look, on)
            on = True
            if more:
                await asyncio.sleep(time.monotonic() - began)

    async def _sealed(self, key: Key, known: Known | None) -> bool:
        """Whether it need not be looked at again."""
        if known is None:
            return True  # calls without a message, or a conversation that has moved
        try:
            await self._seal(key, known)
        except NotFound:
            return True  # calls without a message, or a conversation that has moved
        except SpanledgerError as exc:
            self.failed += 1
            _log.warning("a conversation could not be sealed: %s", telemetry_message(exc))
            return False
        except Exception:  # noqa: BLE001 — one conversation must not hold up the others
            self.failed += 1
            _log.exception("a conversation could not be sealed")
            return False
        return True


def _groups(due: Sequence[tuple[Key, Activity]]) -> Iterator[Sequence[tuple[Key, Activity]]]:
    """By tenant, so many at a time as are read together."""
    of_tenant: dict[str, list[tuple[Key, Activity]]] = defaultdict(list)
    for key, seen in due:
        of_tenant[key[0]].append((key, seen))
    for some in of_tenant.values():
        yield from (some[first : first + TOGETHER] for first in range(0, len(some), TOGETHER))


@contextmanager
def _outside() -> Iterator[None]:
    """Without the trace and the ids of a request for it: they name the conversation, and calls below would join it."""
    token = otel.attach(otel.Context())
    try:
        yield
    finally:
        otel.detach(token)
