"""Retention by age: content, raw spans and logs, metrics go after so many days each. The books stay.

Raw tables have a partition for each day of receipt: a day that is too old is dropped as a whole, or its texts are taken
out. Both need no right to change tables but that of deleting rows.
"""

import logging
import re
import threading
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from sqlite3 import connect
from typing import Any

from spanledger.erasure.local import MEMORY
from spanledger.erasure.mutations import finished
from spanledger.erasure.rows import METRICS, logs_without_content, spans_without_content
from spanledger.erasure.run import clear
from spanledger.errors import SpanledgerError
from spanledger.ledger.audit_spans import ERASED, RawLevel
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.scope import Scope
from spanledger.settings import Settings
from spanledger.store.client import Store
from spanledger.store.registry import Registry
from spanledger.store.sqlite_files import scrub

_EVERY_S = 3600.0
_OWNER, _KIND, _CONTENT = "default", "retention", "content"
_DAYS = """
SELECT DISTINCT partition_id FROM system.parts
WHERE database = currentDatabase() AND active AND table = {table:String} ORDER BY partition_id
"""
_UUID_EPOCH = datetime(1582, 10, 15, tzinfo=UTC)
log = logging.getLogger(__name__)


@dataclass
class Removed:
    """What one look took out: partitions dropped by table, days whose texts went, conversations forgotten."""

    partitions: dict[str, int] = field(default_factory=dict)
    days: list[str] = field(default_factory=list)
    conversations: int = 0


class Retention:
    """Looks once at its start, then every hour, on a thread of its own."""

    def __init__(self, settings: Settings, store: Store, ledger: Ledger, registry: Registry) -> None:
        self._settings, self._store, self._ledger, self._registry = settings, store, ledger, registry
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_wanted(self) -> bool:
        settings = self._settings
        return any((settings.retain_content_days, settings.retain_raw_days, settings.retain_metrics_days))

    def start(self) -> None:
        if self.is_wanted:
            self._thread = threading.Thread(target=self._work, name="retention", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)

    def look(self, now: datetime) -> Removed:
        """Takes out what is too old at that time. Raises StoreError."""
        removed = Removed()
        kept: Mapping[str, float] = {
            **dict.fromkeys(("otel_traces", "otel_logs"), self._settings.retain_raw_days),
            **dict.fromkeys(METRICS, self._settings.retain_metrics_days),
        }
        for table, days in kept.items():
            for day in self._old(table, days, now):
                self._store.command(f"ALTER TABLE {table} DROP PARTITION ID '{day}'")
                removed.partitions[table] = removed.partitions.get(table, 0) + 1
        if self._settings.retain_content_days:
            self._content(now, removed)
        return removed

    def _work(self) -> None:
        while True:
            try:
                removed = self.look(datetime.now(UTC))
                if removed != Removed():
                    log.warning("retention removed %s", removed)
            except SpanledgerError as exc:
                log.error("what is too old could not be removed, will try again: %s", exc)
            if self._stop.wait(_EVERY_S):
                return

    def _old(self, table: str, days: float, now: datetime) -> list[str]:
        """The days of a table whose last moment is older; none where everything is kept."""
        if not days:
            return []
        found = [day for (day,) in self._store.query(_DAYS, {"table": table}) if re.fullmatch(r"\d{8}", day)]
        return [day for day in found if _begin(day) + timedelta(days=1) <= now - timedelta(days=days)]

    def _content(self, now: datetime, removed: Removed) -> None:
        days = self._settings.retain_content_days
        entry = self._registry.get(_OWNER, _KIND, _CONTENT)
        done = str(entry.body["until"]) if entry is not None else ""
        old = sorted({*self._old("otel_traces", days, now), *self._old("otel_logs", days, now)})
        for day in (one for one in old if one > done):
            self._without_content(day)
            self._registry.put(_OWNER, _KIND, _CONTENT, {"until": day})
            removed.days.append(day)
        cutoff = now - timedelta(days=days)
        self._store.command(
            "ALTER TABLE evaluations UPDATE explanation = '' "
            "WHERE explanation != '' AND evaluated_at < parseDateTime64BestEffort({cutoff:String}, 3)",
            {"cutoff": cutoff.isoformat()},
        )
        finished(self._store, "evaluations")
        removed.conversations = self._forget_conversations(cutoff)

    def _without_content(self, day: str) -> None:
        for table, changes in (("otel_traces", spans_without_content()), ("otel_logs", logs_without_content())):
            sets = ", ".join(f"`{column}` = {expression}" for column, expression in changes.items())
            with self._ledger.held_still():
                self._store.command(f"ALTER TABLE {table} UPDATE {sets} IN PARTITION ID '{day}' WHERE 1")
                finished(self._store, table)
                if table == "otel_traces":
                    self._mark(day)
        clear(self._store, ("otel_traces", "otel_logs"))

    def _mark(self, day: str) -> None:
        """Marks spans whose raw rows no longer have their figures; audits compare them from genai_spans on."""
        begin = _begin(day)
        level = RawLevel(self._store, Scope(begin - timedelta(days=1), begin + timedelta(days=2)))
        run_id = uuid.uuid4().hex
        rows = [
            (run_id, one.tenant, one.trace_id, one.span_id) for one in level.differences() if one.note == "different"
        ]
        if not rows:
            return
        self._store.insert("erasure_work", ("run_id", "kind", "value", "other"), rows)
        ours = "SELECT kind, value, other FROM erasure_work WHERE run_id = {run:String}"
        self._store.command(
            f"ALTER TABLE genai_spans UPDATE batch = '{ERASED}' WHERE (tenant, trace_id, span_id) IN ({ours})",
            {"run": run_id},
        )
        finished(self._store, "genai_spans")
        self._store.command("ALTER TABLE erasure_work DELETE WHERE run_id = {run:String}", {"run": run_id})

    def _forget_conversations(self, cutoff: datetime) -> int:
        path = self._settings.data_dir / MEMORY
        if not path.exists():
            return 0
        with closing(connect(path, timeout=30, isolation_level=None)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'checkpoints'").fetchone():
                return 0
            latest: list[tuple[str, Any]] = db.execute(
                "SELECT thread_id, max(checkpoint_id) FROM checkpoints GROUP BY thread_id"
            ).fetchall()
            old = [thread for thread, checkpoint in latest if _made_at(checkpoint) < cutoff]
            for thread in old:
                db.execute("DELETE FROM checkpoints WHERE thread_id = ?", (thread,))
                db.execute("DELETE FROM writes WHERE thread_id = ?", (thread,))
            if old:
                scrub(db)
        return len(old)


def _begin(day: str) -> datetime:
    return datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)


def _made_at(checkpoint_id: str) -> datetime:
    """The time in a UUID of version 6, as LangGraph names checkpoints. One of another form counts as new."""
    try:
        number = uuid.UUID(checkpoint_id)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    if number.version != 6:
        return datetime.max.replace(tzinfo=UTC)
    ticks = (number.int >> 80) << 12 | (number.int >> 64) & 0xFFF
    return _UUID_EPOCH + timedelta(microseconds=ticks // 10)
