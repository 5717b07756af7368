"""Inserts the rows of a batch that otel_traces (calls in log records), genai_spans and key_calls lack, with the queries
of their views."""

import logging
import re
import secrets

from spanledger.errors import StoreError
from spanledger.ingest.blame import blames_data
from spanledger.ingest.decode import quoted
from spanledger.store import migrate
from spanledger.store.client import Store

_VIEW, _KEYS_VIEW, _LOGS_VIEW = "genai_spans_mv", "key_calls_mv", "calls_of_logs_mv"
_MAX_REFUSED = 20  # of one batch; beyond it the fault lies with the view, and `audit --repair` completes the rest
_HASH_BITS = 64

log = logging.getLogger(__name__)


class Completion:
    """One use: for one batch."""

    def __init__(self, store: Store, batch: str) -> None:
        self._store = store
        self._batch = quoted(batch)
        self.refused = 0

    def add_calls_of_logs(self) -> None:
        """Inserts the spans that the batch's log records stand for. Raises StoreError."""
        views = {view.name: view.statement for view in migrate.files("views")}
        if _LOGS_VIEW not in views:
            return
        of_batch = f"(SELECT * FROM otel_logs WHERE Batch = {self._batch}) AS otel_logs"
        rows = _query(views[_LOGS_VIEW], "otel_logs").replace("{missing}", of_batch)
        there = f"SELECT TraceId, SpanId FROM otel_traces WHERE Batch = {self._batch}"
        self._fill("otel_traces", f"SELECT * FROM ({rows}) WHERE (TraceId, SpanId) NOT IN ({there})")

    def run(self) -> int:
        """Inserts what is missing and queues the batch's traces for settlement; returns how many spans were refused.

        A span that the view cannot read stays in otel_traces alone. Raises StoreError.
        """
        views = {view.name: view.statement for view in migrate.files("views")}
        if _VIEW in views:
            self._insert(_query(views[_VIEW]), "1", 0)
        if _KEYS_VIEW in views:  # what is in it already makes no difference
            whole = f"(SELECT * FROM otel_traces WHERE Batch = {self._batch}) AS otel_traces"
            self._fill("key_calls", _query(views[_KEYS_VIEW]).replace("{missing}", whole))
        token = f"SETTINGS insert_deduplication_token = {quoted(secrets.token_hex(8))}"
        self._store.command(
            f"INSERT INTO settle_queue (tenant, trace_id) {token} "
            f"SELECT DISTINCT Tenant, TraceId FROM otel_traces WHERE Batch = {self._batch}"
        )
        return self.refused

    def _insert(self, query: str, condition: str, bit: int) -> None:
        """All missing spans that meet the condition; halves them where one is refused, down to the single span."""
        missing = (
            f"(SELECT * FROM otel_traces WHERE Batch = {self._batch} AND {condition} AND (TraceId, SpanId) NOT IN "
            f"(SELECT trace_id, span_id FROM genai_spans WHERE batch = {self._batch})) AS otel_traces"
        )
        rows = query.replace("{missing}", missing)
        try:
            self._fill("genai_spans", rows)
        except StoreError as exc:
            if not blames_data(self._store, exc):
                raise
            if bit == _HASH_BITS:
                self.refused += 1
                log.error("a span is in otel_traces, but the view that normalises it refuses it: %s", exc)
                return
            for half in (0, 1):
                if self.refused >= _MAX_REFUSED:
                    log.error("many spans are refused by the view; run `spanledger audit --repair` when it is mended")
                    return
                self._insert_half(query, f"{condition} AND bitTest(cityHash64(TraceId, SpanId), {bit}) = {half}", bit)

    def _fill(self, table: str, rows: str) -> None:
        """Inserts what the query `rows` finds."""
        names = ", ".join(row[0] for row in self._store.query(f"DESCRIBE TABLE ({rows})"))
        token = f"SETTINGS insert_deduplication_token = {quoted(secrets.token_hex(8))}"
        self._store.command(f"INSERT INTO {table} ({names}) {token}\n{rows}")

    def _insert_half(self, query: str, condition: str, bit: int) -> None:
        count = f"SELECT count() FROM otel_traces WHERE Batch = {self._batch} AND {condition}"
        spans = self._store.scalar(count)
        if spans:
            self._insert(query, condition, _HASH_BITS if spans == 1 else bit + 1)


def _query(statement: str, source: str = "otel_traces") -> str:
    """The view's SELECT with `{missing}` where it reads `source`."""
    query = re.sub(r"(?is)^.*?\bAS\s*\n(?=\s*(WITH|SELECT)\b)", "", statement, count=1)
    query, places = re.subn(rf"\bFROM\s+{source}\b", "FROM {missing}", query)
    if places != 1:
        raise StoreError(f"a view must read {source} in exactly one place for recovery to work")
    return query
