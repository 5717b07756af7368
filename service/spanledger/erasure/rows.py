"""What an erasure does to the rows of ClickHouse: raw spans, logs and metrics, canonical spans, messages, documents."""

from collections.abc import Sequence

from spanledger.erasure import attributes
from spanledger.erasure.mutations import Mutations, list_of, pairs, value, values
from spanledger.erasure.subject import Replacement, Subject
from spanledger.ingest.decode import TARGETS
from spanledger.ledger import copy_lookup
from spanledger.ledger.audit_spans import ERASED

METRICS = tuple(target.table for target in TARGETS["metrics"])
_WORD, _PSEUDONYM, _PATTERN = value("word"), value("word", "other"), value("pattern")
_FORMS = list_of("form")
_TRACES = values("trace")
# A seal covers a digest of the facts. A plain digest would let one guess an erased text; an erasure writes a keyed one.
_DIGEST = "lower(hex(SHA256(concat({seal_secret:String}, char(31), facts_digest))))"
_SEAL = "lower(hex(SHA256(arrayStringConcat([{{seal_secret:String}}, {digest}, {{seal_secret:String}}], char(31)))))"
_IS_SEALED = f"{{seal_secret:String}} != '' AND seal = {_SEAL.format(digest='facts_digest')}"
_RESEALED_STATEMENT = {"facts_digest": _DIGEST, "seal": f"if({_IS_SEALED}, {_SEAL.format(digest=_DIGEST)}, '')"}
_RESEALED = {**_RESEALED_STATEMENT, "digest": "sipHash64({seal_secret:String}, digest)"}


def spans_without_content() -> dict[str, str]:
    """The columns of otel_traces that carry text, without it."""
    event = attributes.kept_of_event()
    return {
        "SpanAttributes": attributes.filtered(attributes.kept_of_span(), "SpanAttributes"),
        "ResourceAttributes": attributes.filtered(attributes.kept_of_resource(), "ResourceAttributes"),
        "Events.Attributes": f"arrayMap(m -> {attributes.filtered(event, 'm')}, `Events.Attributes`)",
        "Links.Attributes": "arrayMap(m -> mapFilter((k, v) -> 0, m), `Links.Attributes`)",
        "StatusMessage": "''",
        "TraceState": "''",
    }


def logs_without_content() -> dict[str, str]:
    """The columns of otel_logs that carry text, without it."""
    kept = attributes.kept_of_span()
    return {
        "Body": "''",
        "LogAttributes": attributes.filtered(kept, "LogAttributes"),
        "ScopeAttributes": attributes.filtered(kept, "ScopeAttributes"),
        "ResourceAttributes": attributes.filtered(attributes.kept_of_resource(), "ResourceAttributes"),
    }


class Rows:
    """`mutations` holds the traces of the erasure under kind `trace`."""

    def __init__(self, mutations: Mutations) -> None:
        self._do = mutations

    def collect(self, subject: Subject, ids: Sequence[str]) -> int:
        """Finds the traces that the subject takes part in by one of its ids; how many there are."""
        store, params = self._do.store, {**self._do.params, "ids": list(ids)}
        if subject.kind == "trace":
            self._do.note("trace", [(subject.value, "")])
            return 1
        own = f"tenant = {{tenant:String}} AND {subject.column} IN {{ids:Array(String)}}"
        named = " UNION ALL ".join(
            f"SELECT trace_id FROM {table} WHERE {own}" for table in ("ledger", "genai_spans", "messages")
        )
        store.command(
            "INSERT INTO erasure_work (run_id, kind, value) "
            f"SELECT DISTINCT {{run:String}}, 'trace', trace_id FROM ({named}) WHERE trace_id != ''",
            params,
        )
        found = store.scalar("SELECT count() FROM erasure_work WHERE run_id = {run:String} AND kind = 'trace'", params)
        return int(found or 0)

    def traces(self) -> list[str]:
        rows = self._do.store.query(f"SELECT DISTINCT value FROM {_TRACES} ORDER BY value", self._do.params)
        return [trace for (trace,) in rows]

    def users(self) -> list[str]:
        """Who else takes part in the traces."""
        where = f"tenant = {{tenant:String}} AND user_id != '' AND trace_id IN {_TRACES}"
        named = " UNION ALL ".join(f"SELECT user_id FROM {table} WHERE {where}" for table in ("ledger", "genai_spans"))
        return [user for (user,) in self._do.store.query(f"SELECT DISTINCT user_id FROM ({named})", self._do.params)]

    def content(self, subject: Subject) -> None:
        """Takes out what carries text. Expects the subject's id as the word of the run."""
        self._do.update("otel_traces", spans_without_content(), f"TraceId IN {_TRACES}", "Tenant")
        self._do.update("otel_logs", logs_without_content(), self._logs(subject, "trace"), "Tenant")
        self._drop_facts(f"trace_id IN {_TRACES}")
        own = f" OR {subject.column} IN {values('id')}" if subject.kind != "trace" else ""
        has_text = f"(explanation != '' OR notEmpty(tags)) AND (trace_id IN {_TRACES}{own})"
        if self._do.copy("evaluations", {"explanation": "''", "tags": "[]", **_RESEALED}, has_text, final="FINAL"):
            self._do.delete("evaluations", has_text)
        self._drop_documents(subject)

    def identity(self, replacement: Replacement) -> None:
        """Puts the pseudonym in the place of the id. Expects it as the word of the run, with its pattern."""
        column, within = replacement.column, replacement.within
        self._raw("otel_traces", ("SpanAttributes", "ResourceAttributes"), ("Events.Attributes", "Links.Attributes"),
                  ("SpanName", "StatusMessage"), replacement, "TraceId")  # fmt: skip
        self._raw("otel_logs", ("LogAttributes", "ResourceAttributes", "ScopeAttributes"), (), ("Body",),
                  replacement, "TraceId")  # fmt: skip
        if not within:
            for table in METRICS:
                self._metrics(table, column)
        limit = f" AND (trace_id IN {_TRACES} OR conversation_id IN {values('conversation')})" if within else ""
        this = f"{column} IN {values('word')}{limit}"
        for table in ("genai_spans", "ledger"):
            self._do.update(table, {column: _PSEUDONYM}, this)
        for table, changes in (("evaluations", _RESEALED), ("statements", _RESEALED_STATEMENT)):
            if self._do.copy(table, {column: _PSEUDONYM, **changes}, this, final="FINAL"):
                self._do.delete(table, this)
        spans = f"trace_id IN {_TRACES}"
        if not within:
            named = f"{_PATTERN} != '' AND {attributes.mentions(_FORMS, ['facts'], texts=['span_name'])}"
            spans += f" OR trace_id IN (SELECT trace_id FROM genai_spans WHERE tenant = {{tenant:String}} AND {named})"
        self._do.update("genai_spans", {"span_name": self._text("span_name")}, spans)
        self._drop_facts(spans)
        if column == "user_id":
            for table in ("messages", "message_list"):
                self._do.update(table, {column: _PSEUDONYM}, this)
            if not within:
                self._do.update("documents", {column: _PSEUDONYM}, this)
            return
        self._do.copy("messages", {column: _PSEUDONYM}, this, final="FINAL")  # message_list follows
        for table in ("messages", "message_list"):
            self._do.delete(table, this)
        self._renew_keys()

    def remove(self, subject: Subject) -> None:
        """Deletes the spans of kinds `whole` and `span`, and what is known beside them."""
        for table, tenant, trace, span in (
            ("otel_traces", "Tenant", "TraceId", "SpanId"),
            ("genai_spans", "tenant", "trace_id", "span_id"),
            ("key_calls", "tenant", "trace_id", "span_id"),
            ("trace_anomalies", "tenant", "trace_id", "span_id"),
        ):
            self._do.delete(table, f"{trace} IN {values('whole')} OR ({trace}, {span}) IN {pairs('span')}", tenant)
        self._do.delete("otel_logs", self._logs(subject, "whole"), "Tenant")
        own = f" OR {subject.column} IN {values('id')}" if subject.kind != "trace" else ""
        for table in ("evaluations", "statements"):
            self._do.delete(table, f"trace_id IN {values('whole')}{own}")
        self._do.delete("call_keys", f"trace_id IN {values('whole')}")
        self._drop_documents(subject)

    def remove_messages(self) -> None:
        """The messages of traces that are deleted as a whole."""
        self._do.delete("messages", f"trace_id IN {values('whole')}")
        self._do.delete("message_list", f"trace_id IN {values('whole')}")

    def mark(self, spans: list[tuple[str, str]]) -> None:
        """Marks spans whose raw row no longer matches genai_spans: audits do not compare them."""
        self._do.note("marked", spans)
        self._do.update("genai_spans", {"batch": f"'{ERASED}'"}, f"(trace_id, span_id) IN {pairs('marked')}")

    def _logs(self, subject: Subject, kind: str) -> str:
        """Log records of the traces, and those that name the subject."""
        of_traces = f"TraceId IN {values(kind)}"
        if subject.kind == "trace":
            return of_traces
        return f"{of_traces} OR ({_WORD} != '' AND {attributes.names(subject.column, _WORD, 'LogAttributes')})"

    def _raw(
        self,
        table: str,
        maps: tuple[str, ...],
        lists: tuple[str, ...],
        texts: tuple[str, ...],
        replacement: Replacement,
        trace: str,
    ) -> None:
        column = replacement.column
        changes = {name: attributes.replaced(column, _WORD, _PSEUDONYM, _PATTERN, name) for name in maps}
        for name in lists:
            changes[name] = f"arrayMap(m -> {attributes.replaced(column, _WORD, _PSEUDONYM, _PATTERN, 'm')}, `{name}`)"
        changes |= {name: self._text(name) for name in texts}
        condition = f"{trace} IN {_TRACES}"
        if not replacement.within:
            named = attributes.names(column, _WORD, maps[0])
            anywhere = f"{_PATTERN} != '' AND {attributes.mentions(_FORMS, maps, lists, texts)}"
            condition = f"{condition} OR ({_WORD} != '' AND ({named} OR ({anywhere})))"
        self._do.update(table, changes, condition, "Tenant")

    def _metrics(self, table: str, column: str) -> None:
        """Attributes are part of the key: the points are written again."""
        columns = ["Attributes", "ResourceAttributes", "ScopeAttributes"]
        changes = {name: attributes.replaced(column, _WORD, _PSEUDONYM, _PATTERN, name) for name in columns}
        lists = ["Exemplars.FilteredAttributes"] if table != "otel_metrics_summary" else []
        inner = attributes.replaced(column, _WORD, _PSEUDONYM, _PATTERN, "m")
        changes |= {name: f"arrayMap(m -> {inner}, `{name}`)" for name in lists}
        differs = " OR ".join(f"toString({new}) != toString(`{name}`)" for name, new in changes.items())
        mentions = f"{_WORD} != '' AND {attributes.mentions(_FORMS, columns, lists)}"
        if not self._do.count(table, mentions, "Tenant"):
            return
        condition = f"{mentions} AND ({differs})"
        if self._do.copy(table, changes, f"({condition})", "Tenant"):
            self._do.delete(table, condition, "Tenant")

    def _text(self, name: str) -> str:
        return f"if({_PATTERN} = '', `{name}`, replaceRegexpAll(`{name}`, {_PATTERN}, {_PSEUDONYM}))"

    def _drop_facts(self, spans: str) -> None:
        """Clears the stored facts of those of the spans that settlement has interpreted."""
        read = (
            "SELECT trace_id, span_id, version FROM genai_spans "
            f"WHERE tenant = {{tenant:String}} AND normalised = 1 AND ({spans})"
        )
        self._do.delete(
            "genai_spans", f"normalised = 0 AND ({spans}) AND (trace_id, span_id, bitOr(version, 1)) IN ({read})"
        )

    def _drop_documents(self, subject: Subject) -> None:
        if subject.kind != "user":
            return
        store, params = self._do.store, self._do.params
        store.command(
            "INSERT INTO erasure_work (run_id, kind, value) SELECT DISTINCT {run:String}, 'document', document_id "
            f"FROM documents WHERE tenant = {{tenant:String}} AND user_id IN {values('id')}",
            params,
        )
        self._do.delete("documents", f"document_id IN {values('document')}")
        self._do.delete("document_chunks", f"document_id IN {values('document')}")

    def _renew_keys(self) -> None:
        """call_keys holds hashes of conversations: spans under another one have other keys."""
        ours = f"(s.tenant, s.trace_id) IN (SELECT {{tenant:String}}, value FROM {_TRACES})"
        copy_lookup.add_keys(self._do.store, ours, self._do.params)
