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
from collections.abc import Iterator, Mapping, Sequence
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
TOGETHER = 100  # conversations that are read and sealed at a time: each load and settlement has a price of its own
# The pause after these, for each that was sealed and times as long as their reading took: much history, as after an
# import, must not starve readers.
APART_S, PAUSES = 0.25, 8
REMEMBERED = 10_000  # statements that may not be readable yet
_log = logging.getLogger(__name__)


class Remembers(Completes, Protocol):
    """The part of the runner that is needed here."""

    async def remembered(self, tenant: str, conversation_id: str) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Known:
    """A conversation in the books, the newest version of its statement (None: it has none yet), and its transcript
    (None: not read yet)."""

    found: Conversation
    before: Statement | None
    said: Transcript | None = None


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
            sealed = await self._report(tenant, version, before, known.said)
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

    async def _report(
        self, tenant: str, version: Statement, before: Statement | None, said: Transcript | None
    ) -> Statement:
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
            state, findings, source = await self._analysed(tenant, version, before, said)
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
        self, tenant: str, version: Statement, before: Statement | None, said: Transcript | None
    ) -> tuple[str, Findings | None, str]:
        """How the analysis went, what it found, and where the content was from."""
        if _is_analysed(version, before):
            return "reused", None, ""
        transcript = said or (await self._transcripts(tenant, [version.conversation_id]))[version.conversation_id]
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

    async def _transcripts(self, tenant: str, conversation_ids: Sequence[str]) -> dict[str, Transcript]:
        """What was said in each: from the service's own history, else from the spans."""
        assert self._runner is not None
        found = {one: content.of_history(await self._runner.remembered(tenant, one)) for one in conversation_ids}
        others = [one for one in conversation_ids if not found[one].lines]
        if others:
            found |= await asyncio.to_thread(content.of_spans, self._store, tenant, others)
        return found

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
        versions = {name: version for name in known if (version := self._next((tenant, name), known[name])) is not None}
        for name, said in (await self._said(tenant, versions, known)).items():
            known[name] = replace(known[name], said=said)
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
        await asyncio.sleep(max(APART_S * len(versions), PAUSES * took))
        return finished

    async def _said(
        self, tenant: str, versions: Mapping[str, Statement], known: Mapping[str, Known]
    ) -> dict[str, Transcript]:
        """What was said in those that must be analysed; nothing where it cannot be read together: then each is read by
        itself, and one that cannot be read holds up no other."""
        unread = [name for name, version in versions.items() if not _is_analysed(version, known[name].before)]
        try:
            return await self._transcripts(tenant, unread)
        except Exception:  # noqa: BLE001 — see above
            _log.warning("the content of %d conversations could not be read together", len(unread), exc_info=True)
            return {}

    def _next(self, key: Key, known: Known) -> Statement | None:
        """The new version that a conversation gets, if any."""
        return drawn_up(known.found, self._newer(key, known.before), 0)

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


def _is_analysed(version: Statement, before: Statement | None) -> bool:
    """Whether the analysis of the version before holds: nothing more was said."""
    if before is None or "message_count" in version.difference:
        return False
    return before.analysis in {"done", "reused"}


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
