"""One erasure from its beginning to its end, over everything that one data folder and its ClickHouse hold."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from spanledger.erasure.bodies import Rewriter
from spanledger.erasure.figures import Figures
from spanledger.erasure.local import LocalFiles
from spanledger.erasure.mutations import Mutations, values
from spanledger.erasure.rows import Rows
from spanledger.erasure.subject import Extent, Pseudonyms, Replacement, Subject, forms_of
from spanledger.ledger import audit
from spanledger.ledger.ledger import Ledger
from spanledger.ledger.scope import Scope
from spanledger.store.client import Store

Say = Callable[[str], None]
_AUDITED = 5_000  # traces at once
_TRIES, _PAUSE_S = 5, 0.3  # to delete old parts
# Parts that were replaced before the erasure had ended and are not yet deleted from the disk.
_OLD_PARTS = """
SELECT count(), toInt64(sum(bytes_on_disk)) FROM system.parts
WHERE database = currentDatabase() AND NOT active AND table IN {tables:Array(String)}
    AND remove_time <= fromUnixTimestamp64Milli({ended_ms:Int64})
"""
_KEPT_FOR = "SELECT toInt64(value) FROM system.merge_tree_settings WHERE name = 'old_parts_lifetime'"
CLEANING_S = 60  # until the engine has looked for parts whose time is over


@dataclass
class Outcome:
    """What an erasure did. `removed_*`: figures that counter-entries took out of the books."""

    traces: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    entries: int = 0
    removed_calls: int = 0
    removed_usd: Decimal = Decimal(0)
    not_compared: int = 0  # spans whose raw row no longer has their figures
    balanced: bool = True
    differences: int = 0
    tables: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "traces": self.traces,
            "rows": dict(sorted(self.rows.items())),
            "files": dict(sorted(self.files.items())),
            "entries": self.entries,
            "removed_calls": self.removed_calls,
            "removed_usd": format(self.removed_usd, "f"),
            "not_compared_spans": self.not_compared,
            "balanced": self.balanced,
            "differences": self.differences,
        }


class Run:
    """`only`: of a subject that came again, the traces with which it came."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        files: LocalFiles,
        pseudonyms: Pseudonyms,
        subject: Subject,
        extent: Extent,
        only: Sequence[str] | None = None,
    ) -> None:
        self._store, self._ledger, self._files = store, ledger, files
        self._pseudonyms, self._subject, self._extent, self._only = pseudonyms, subject, extent, only
        self._do = Mutations(store, subject.tenant, uuid.uuid4().hex)
        self._rows = Rows(self._do)
        self._figures = Figures(self._do, ledger.prices)

    def run(self, say: Say) -> Outcome:
        """Raises StoreError; what is done already does no harm when it is done again."""
        with self._ledger.held_still():
            try:
                outcome = self._run(say)
            finally:
                self._do.forget()
        return outcome

    def _run(self, say: Say) -> Outcome:
        subject, extent = self._subject, self._extent
        outcome = Outcome(traces=self._collect())
        traces = self._rows.traces()
        say(f"{outcome.traces} traces")
        conversations = self._conversations()
        replacements = self._replacements() if extent != "content" else []
        before = self._figures.removed(traces)
        if subject.kind == "conversation":
            self._do.note("conversation", [(one, "") for one in self._ids])
        self._name(subject.value if subject.kind != "trace" else "", "", "")
        touched: list[str] = []
        if extent == "everything":
            self._figures.choose(subject, traces)
            touched = self._figures.touched()
            say(f"deleting spans of {len(touched)} traces")
            self._rows.remove(subject)
        if extent == "content":
            say("taking content out of spans and logs")
            self._rows.content(subject)
        self._replace(replacements, say)
        if extent == "everything":
            say("posting counter-entries")
        outcome.entries = self._figures.settle(sorted({*traces, *touched}))
        if extent == "everything":
            self._rows.remove_messages()
            after = self._figures.removed(traces)
            outcome.removed_calls, outcome.removed_usd = before[0] - after[0], before[1] - after[1]
        say("comparing what is left")
        unlike = self._figures.unlike(traces)
        self._rows.mark(unlike)
        outcome.not_compared = len(unlike)
        self._erase_files(conversations, traces)
        if self._only is None:  # no report for data that arrives again
            outcome.balanced, outcome.differences = self._audit(traces)
        outcome.rows, outcome.files = self._do.changed, self._files.changed
        outcome.tables = tuple(sorted(self._do.tables))
        clear(self._store, outcome.tables)
        return outcome

    @property
    def _ids(self) -> list[str]:
        """The id, and what stands in its place after an earlier erasure."""
        subject = self._subject
        return [subject.value, self._pseudonyms.of(subject.tenant, subject.kind, subject.value)]

    def _collect(self) -> int:
        if self._only is None:
            return self._rows.collect(self._subject, self._ids)
        self._do.note("trace", [(trace, "") for trace in self._only])
        return len(self._only)

    def _conversations(self) -> list[str]:
        """Those of the traces, and the one that the erasure is about."""
        where = f"tenant = {{tenant:String}} AND trace_id IN {values('trace')} AND conversation_id != ''"
        named = " UNION ALL ".join(f"SELECT conversation_id FROM {t} WHERE {where}" for t in ("ledger", "genai_spans"))
        rows = self._store.query(f"SELECT DISTINCT conversation_id FROM ({named})", self._do.params)
        own = [self._subject.value] if self._subject.kind == "conversation" else []
        return sorted({*own, *(conversation for (conversation,) in rows)})

    def _replacements(self) -> list[Replacement]:
        """The subject's own id, wherever it stands; and for a conversation or a trace the users in it."""
        subject, again = self._subject, self._only is not None
        tenant = subject.tenant
        found = []
        if subject.kind != "trace":
            pseudonym = self._pseudonyms.of(tenant, subject.kind, subject.value)
            found.append(Replacement(subject.column, subject.value, pseudonym, within=again))
        if subject.kind != "user":
            for user in self._rows.users():
                pseudonym = self._pseudonyms.of(tenant, "user", user)
                if pseudonym != user:
                    found.append(Replacement("user_id", user, pseudonym, within=True))
        return found

    def _name(self, word: str, pseudonym: str, pattern: str) -> None:
        """Makes an id the word of the run."""
        for kind in ("id", "word", "pattern", "form"):
            self._do.forget(kind)
        if word:
            self._do.note("id", [(one, "") for one in self._ids])
            self._do.note("word", [(word, pseudonym)])
            self._do.note("pattern", [(pattern, "")])
            self._do.note("form", [(form, "") for form in forms_of(word)])

    def _replace(self, replacements: Sequence[Replacement], say: Say) -> None:
        for number, one in enumerate(replacements, 1):
            say(f"pseudonym {number} of {len(replacements)}")
            self._name(one.value, one.pseudonym, one.pattern)
            self._rows.identity(one)
        self._figures.follow(replacements)
        for one in replacements:
            self._name(one.value, one.pseudonym, one.pattern)
            self._figures.drop_lines(one)

    def _erase_files(self, conversations: Sequence[str], traces: Sequence[str]) -> None:
        subject = self._subject
        pseudonym = self._pseudonyms.of(subject.tenant, subject.kind, subject.value)
        body = Rewriter(subject, self._extent, pseudonym, traces)
        self._files.erase(subject, self._extent, pseudonym, conversations, body)

    def _audit(self, traces: Sequence[str]) -> tuple[bool, int]:
        """Whether the books of the traces balance, and how many differences there are."""
        subject = self._subject
        shown = subject.value
        if self._extent != "content" and subject.kind != "trace":
            shown = self._pseudonyms.of(subject.tenant, subject.kind, subject.value)
        differences = 0
        for start in range(0, max(len(traces), 1), _AUDITED):
            piece = tuple(traces[start : start + _AUDITED])
            scope = Scope(tenant=subject.tenant, column=subject.column, value=shown, traces=piece)
            report = audit.audit(self._store, self._ledger.prices, scope, settle_first=False)
            differences += len(report.differences)
        return differences == 0, differences


def clear(store: Store, tables: Sequence[str]) -> None:
    """Deletes the parts that were replaced. A server keeps them for a while (old_parts_lifetime).

    The embedded engine looks for old parts at the end of a statement that drops a partition; by itself it may take
    minutes until it does. The statement breaks off merges and mutations of the table, which then begin anew: call this
    while no erasure runs. A part that a query reads stays; a few more tries catch most of them.
    """
    if not store.embedded:
        return
    for _ in range(_TRIES):
        for table in tables:
            store.command(f"ALTER TABLE {table} DROP PARTITION ID 'none'")
        if not old_parts(store, tables, datetime.now(UTC))["parts"]:
            return
        time.sleep(_PAUSE_S)


def old_parts(store: Store, tables: Sequence[str], ended: datetime) -> dict[str, Any]:
    """What is still on the disk of parts that were replaced, and how long it may stay."""
    count, size = store.query(_OLD_PARTS, {"tables": list(tables), "ended_ms": int(ended.timestamp() * 1000)})[0]
    kept_s = int(store.scalar(_KEPT_FOR) or 0)
    return {"parts": int(count), "bytes": int(size or 0), "kept_s": kept_s + CLEANING_S}
