"""What an erasure does to the books: figures keep their sums under a pseudonym, or go by counter-entries."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from spanledger.books.compute import compute
from spanledger.books.costs import Prices
from spanledger.erasure.mutations import Mutations, pairs, values
from spanledger.erasure.subject import Replacement, Subject
from spanledger.ledger import batches, rollups, settler
from spanledger.ledger.audit_spans import RawLevel
from spanledger.ledger.scope import Scope
from spanledger.ledger.work import COLUMNS as WORK_COLUMNS

REASON = "erase"
_PIECE = 2_000  # traces


class Figures:
    """`mutations` holds the traces of the erasure."""

    def __init__(self, mutations: Mutations, prices: Prices) -> None:
        self._do = mutations
        self._prices = prices

    @property
    def _tenant(self) -> str:
        tenant: str = self._do.params["tenant"]
        return tenant

    def settle(self, traces: Sequence[str]) -> int:
        """Settles these traces; returns the number of posted entries."""
        posted = 0
        for run_id, piece in self._pieces(traces):
            chunk = batches.read_chunk(self._do.store, run_id, {(self._tenant, trace) for trace in piece})
            touched = [(self._tenant, trace, 0) for trace in piece]
            batch = batches.Batch(run_id, touched, chunk, whole=True, full=False)
            posted += settler.settle(self._do.store, self._prices, batch, reason=REASON).entries
        return posted

    def follow(self, replacements: Sequence[Replacement]) -> None:
        """Makes the rollups follow the ledger, whose entries have pseudonyms already. The lines of an id come to zero
        in the insert that gives them to the pseudonym; then they are deleted."""
        for rollup in rollups.all_rollups():
            for one in (r for r in replacements if r.column in rollup.keys):
                rows = []
                for value in (one.value, one.pseudonym):
                    scope = Scope(tenant=self._tenant, column=one.column, value=value)
                    rows += list(rollup.differences(self._do.store, scope))
                rollup.post(self._do.store, rows)
                self._do.changed[rollup.name] = self._do.changed.get(rollup.name, 0) + len(rows)

    def drop_lines(self, replacement: Replacement) -> None:
        """Deletes what `follow` has brought to zero: no sum changes by it."""
        for rollup in (one for one in rollups.all_rollups() if replacement.column in one.keys):
            keys = ", ".join(rollup.keys)
            ours = f"tenant = {{tenant:String}} AND {replacement.column} IN {values('word')}"
            is_nothing = " AND ".join(f"sum(l.{measure}) = 0" for measure in rollup.measures)
            # Noted down first: a mutation would ask anew for each part, while others of its parts are gone already.
            self._do.forget("line")
            self._do.store.command(
                f"INSERT INTO erasure_work (run_id, kind, value) SELECT {{run:String}}, 'line', hex(sipHash128({keys}))"
                f" FROM {rollup.name} AS l WHERE {ours} GROUP BY {keys} HAVING {is_nothing}",
                self._do.params,
            )
            line = f"hex(sipHash128({keys})) IN {values('line')}"
            self._do.delete(rollup.name, f"{replacement.column} IN {values('word')} AND {line}")

    def choose(self, subject: Subject, traces: Sequence[str]) -> None:
        """Notes the traces to delete as a whole, and of those that others take part in the spans that are the
        subject's, and their copies in other traces."""
        if subject.kind == "trace":
            self._do.note("whole", [(subject.value, "")])
        else:
            self._choose_by(subject.column)
        for run_id, piece in self._pieces(traces):
            chunk = batches.read_chunk(self._do.store, run_id, {(self._tenant, trace) for trace in piece})
            joined = compute(chunk.spans, self._prices).joined
            batches.forget(self._do.store, run_id)
            chosen = self._chosen()
            copies = [
                (trace, span)
                for one in joined
                if one.tenant == self._tenant
                and ((one.trace_id, "") in chosen or (one.trace_id, one.span_id) in chosen)
                for trace, span, _ in one.others
            ]
            self._do.note("span", copies)

    def touched(self) -> list[str]:
        """The traces that lose spans."""
        kinds = f"SELECT value FROM {values('whole')} UNION DISTINCT SELECT value FROM {values('span')}"
        return [trace for (trace,) in self._do.store.query(kinds, self._do.params)]

    def removed(self, traces: Sequence[str]) -> tuple[int, Decimal]:
        """Calls and cost that the ledger has of these traces."""
        calls, cost = 0, Decimal(0)
        for start in range(0, len(traces), _PIECE):
            params = {"tenant": self._tenant, "traces": list(traces[start : start + _PIECE])}
            row = self._do.store.query(
                "SELECT sum(l.llm_calls), sum(l.cost_usd) FROM ledger AS l "
                "WHERE tenant = {tenant:String} AND trace_id IN {traces:Array(String)}",
                params,
            )[0]
            calls, cost = calls + int(row[0] or 0), cost + Decimal(row[1] or 0)
        return calls, cost

    def unlike(self, traces: Sequence[str]) -> list[tuple[str, str]]:
        """The spans whose raw row no longer matches their row in genai_spans."""
        found = []
        for start in range(0, len(traces), _PIECE):
            piece = tuple(traces[start : start + _PIECE])
            level = RawLevel(self._do.store, Scope(tenant=self._tenant, column="trace_id", traces=piece))
            found += [(one.trace_id, one.span_id) for one in level.differences() if one.note != "missing"]
        return found

    def _choose_by(self, column: str) -> None:
        """Selects whole traces: those without another subject's id of the same kind."""
        traces, words = values("trace"), values("id")
        own = f"tenant = {{tenant:String}} AND trace_id IN {traces} AND {column} != ''"
        named = (
            f"SELECT trace_id, {column} FROM genai_spans WHERE {own} UNION DISTINCT "
            f"SELECT trace_id, {column} FROM ledger WHERE {own}"
        )
        self._do.store.command(
            "INSERT INTO erasure_work (run_id, kind, value) SELECT {run:String}, 'whole', value "
            f"FROM (SELECT DISTINCT value FROM {traces}) WHERE value NOT IN "
            f"(SELECT trace_id FROM ({named}) GROUP BY trace_id HAVING countIf({column} NOT IN {words}) > 0)",
            self._do.params,
        )
        mine = (
            f"SELECT trace_id, span_id FROM genai_spans WHERE {own} AND {column} IN {words} UNION DISTINCT "
            f"SELECT trace_id, span_id FROM ledger WHERE {own} AND {column} IN {words}"
        )
        self._do.store.command(
            "INSERT INTO erasure_work (run_id, kind, value, other) SELECT {run:String}, 'span', trace_id, span_id "
            f"FROM ({mine}) WHERE span_id != '' AND trace_id NOT IN {values('whole')}",
            self._do.params,
        )

    def _chosen(self) -> set[tuple[str, str]]:
        both = f"SELECT value, '' FROM {values('whole')} UNION ALL SELECT value, other FROM {pairs('span')}"
        return {(trace, span) for trace, span in self._do.store.query(both, self._do.params)}

    def _pieces(self, traces: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
        """Traces that stand in settle_work, with the run's id."""
        for start in range(0, len(traces), _PIECE):
            piece = traces[start : start + _PIECE]
            run_id = batches.new_run()
            rows = [(run_id, 0, self._tenant, trace) for trace in piece]
            self._do.store.insert("settle_work", WORK_COLUMNS, rows)
            try:
                yield run_id, piece
            finally:
                batches.forget(self._do.store, run_id)
