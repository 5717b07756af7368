"""Checks that the books balance: compares each level with the one above it:

    otel_traces → genai_spans → ledger → message_usage, conversation_usage, user_usage_1h, usage_1m, messages

A difference names the level, the key and the amount: positive when it is missing, negative when there is too much.
`repair` posts the differences. A trace whose spans differ is compared at lower levels only after its spans are
repaired."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

from spanledger.books.compute import Books, Joined, compute
from spanledger.books.costs import Prices
from spanledger.books.entries import DIMS, MEASURES, Book, difference, lines_of
from spanledger.books.messages import Message
from spanledger.ledger import anomalies, batches, giants, journal, message_list, rollups, settler
from spanledger.ledger.audit_spans import RawLevel
from spanledger.ledger.copy_lookup import Trace
from spanledger.ledger.scope import Scope
from spanledger.store.client import Store
from spanledger.store.threads import ALONE

CHUNK_SPANS = 80_000  # rows of whole traces, those that wait for a merge included
EVERYTHING = Scope()
LISTED = 10_000  # differences listed one by one; beyond this they are only counted

Say = Callable[[str], None]


@dataclass(frozen=True)
class Difference:
    """`level`: the table that is wrong; `amounts`: what must be added to make it right, or the fields that differ."""

    level: str
    key: dict[str, Any]
    amounts: dict[str, Any]
    note: str = ""


@dataclass
class Report:
    """What was compared, what differed, which copies of calls were joined, and what a repair wrote."""

    scope: Scope
    checked: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    joined: list[Joined] = field(default_factory=list)  # the first of them
    joined_calls: int = 0
    anomalies: dict[str, int] = field(default_factory=dict)  # by kind:field; listed in view anomalies
    repaired: dict[str, int] = field(default_factory=dict)
    skipped_traces: int = 0
    wrong_entries: Book = field(default_factory=dict)  # what the ledger lacks or has too much, not repaired

    @property
    def balanced(self) -> bool:
        return not self.differences

    def add(self, difference_: Difference) -> None:
        self.differences.append(difference_)

    def add_joined(self, joined: list[Joined]) -> None:
        self.joined_calls += len(joined)
        self.joined += joined[: max(0, LISTED - len(self.joined))]

    def as_dict(self) -> dict[str, Any]:
        """The report in the words of the API; at most LISTED differences one by one."""
        return {
            "balanced": self.balanced,
            "from": self.scope.start.isoformat() if self.scope.start else None,
            "to": self.scope.end.isoformat() if self.scope.end else None,
            "checked": self.checked,
            "difference_count": len(self.differences),
            "differences": [asdict(d) for d in self.differences[:LISTED]],
            "joined_calls": self.joined_calls,
            "joined": [asdict(j) for j in self.joined],
            "anomaly_count": sum(self.anomalies.values()),
            "anomalies": self.anomalies,
            "repaired": self.repaired,
            "skipped_traces": self.skipped_traces,
        }


def audit(
    store: Store,
    prices: Prices,
    scope: Scope = EVERYTHING,
    repair: bool = False,
    say: Say = lambda _: None,
    still: AbstractContextManager[Any] | None = None,
    settle_first: bool = True,
) -> Report:
    """Compares every level with the one above it for the spans of a scope.

    Pending spans are settled first: being a moment behind is not an imbalance. Without `settle_first` only those of
    traces that differ are. `still`: held while two levels are
    compared, so that no settlement moves them. Raises StoreError.
    """
    report = Report(scope)
    held = still or nullcontext()
    # A repair holds settlement from its first look to its last correction; without one it goes on between the pieces.
    with held if repair else nullcontext():
        step = nullcontext() if repair else held
        with step:
            while settle_first and settler.settle_once(store, prices).traces:
                pass
        _audit(store, prices, report, repair, say, step)
    return report


def _audit(
    store: Store, prices: Prices, report: Report, repair: bool, say: Say, step: AbstractContextManager[Any]
) -> None:
    """`step`: held for each piece of a comparison."""
    wrong_traces = _check_spans(store, prices, report, repair, say, step)
    _check_ledger(store, prices, report, set() if repair else wrong_traces, repair, say, step)
    for rollup in (one for one in rollups.all_rollups() if one.covers(report.scope)):
        say(f"comparing the ledger with {rollup.name}")
        with step:
            _check_rollup(store, rollup, report, repair)
    with step:
        _check_message_list(store, report, repair)
    report.anomalies = anomalies.counts(store, report.scope)


def _check_spans(
    store: Store, prices: Prices, report: Report, repair: bool, say: Say, step: AbstractContextManager[Any]
) -> set[tuple[str, str]]:
    level = RawLevel(store, report.scope, lambda done, of: say(f"comparing raw spans: {done} of {of} spans"), step)
    wrong: set[tuple[str, str]] = set()
    differing = list(level.differences())
    for _ in range(3):
        if not differing:
            break
        # Spans go on landing while they are compared: what landed meanwhile is settled and looked at once more.
        with step:
            while settler.settle_once(store, prices).traces:
                pass
            differing = level.again(differing)
    for found in differing:
        wrong.add((found.tenant, found.trace_id))
        key = {"tenant": found.tenant, "trace_id": found.trace_id, "span_id": found.span_id}
        report.add(Difference("genai_spans", key, found.fields, found.note))
    report.checked["spans"] = level.checked
    if repair and wrong:
        report.repaired["genai_spans"] = level.repair(sorted(wrong))
    return wrong


def _check_ledger(
    store: Store,
    prices: Prices,
    report: Report,
    skip: set[tuple[str, str]],
    repair: bool,
    say: Say,
    step: AbstractContextManager[Any],
) -> None:
    report.checked.update(traces=0, ledger_lines=0, messages=0)
    traces = count_traces(store, report.scope)
    seen: set[tuple[str, ...]] = set()
    for run_id, too_large in chunks(store, report.scope):
        for (tenant, trace_id), spans in too_large.items():
            key = {"tenant": tenant, "trace_id": trace_id}
            report.add(Difference("ledger", key, {"spans": spans}, giants.reason(spans)))
        try:
            with step:
                _check_chunk(store, prices, report, skip, repair, run_id, seen)
        finally:
            batches.forget(store, run_id)
        say(f"comparing genai_spans with the ledger: {report.checked['traces']} of {traces} traces")
    report.skipped_traces = len(skip)


def _check_chunk(
    store: Store,
    prices: Prices,
    report: Report,
    skip: set[tuple[str, str]],
    repair: bool,
    run_id: str,
    seen: set[tuple[str, ...]],
) -> None:
    """Compares the traces of a run; `seen`: the differences that were found before, for a trace may be read again as
    one that holds copies."""
    own = batches.work_of(store, run_id)
    for _ in range(3):
        spans = batches.read_chunk(store, run_id, own).spans
        books = compute(spans, prices)
        posted = journal.posted(store, run_id, store.all_shards)
        entries = _without(difference(books.book, posted), skip)
        # Spans go on landing meanwhile: with some unsettled, a difference is not one yet.
        if not entries or not settler.settle_once(store, prices).traces:
            break
    late = _unsettled(store) if entries else set()
    entries = _without(entries, late)
    for key, amounts in entries.items():
        named = dict(zip(DIMS, key, strict=True))
        identity = (named["kind"], named["tenant"], named["trace_id"], named["span_id"], *map(str, amounts))
        if identity not in seen:
            seen.add(identity)
            _add_entry(report, named, amounts)
            if not repair:
                report.wrong_entries[key] = amounts
    wrong_messages = _wrong_messages(store, run_id, books, skip | late)
    for message in wrong_messages:
        report.add(message)
    wrong_anomalies = _wrong_anomalies(store, run_id, books, skip | late)
    report.differences += wrong_anomalies
    if repair and wrong_anomalies:
        anomalies.upsert(store, run_id, books.anomalies)
        report.repaired["trace_anomalies"] = report.repaired.get("trace_anomalies", 0) + len(wrong_anomalies)
    if repair and (entries or wrong_messages):
        journal.upsert_messages(store, books, lines_of(posted))
        journal.post(store, lines_of(entries), reason="repair", run_id=run_id, shards=store.all_shards)
        report.repaired["ledger"] = report.repaired.get("ledger", 0) + len(entries)
        report.repaired["messages"] = report.repaired.get("messages", 0) + len(wrong_messages)
    report.checked["traces"] += len(set(zip(*(spans[c].to_pylist() for c in ("tenant", "trace_id")), strict=True)))
    report.checked["ledger_lines"] += len(posted)
    report.checked["messages"] += len(books.messages)
    # The piece that a call's own trace belongs to names it, not those that read it as a copy.
    report.add_joined([j for j in books.joined if (j.tenant, j.trace_id) in own])


def _add_entry(report: Report, named: dict[str, Any], amounts: tuple[Any, ...]) -> None:
    wrong = {m: a for m, a in zip(MEASURES, amounts, strict=True) if a}
    key = {name: value for name, value in named.items() if value not in ("", 0)}
    missing = next(iter(wrong.values())) > 0
    report.add(Difference("ledger", key, wrong, "missing" if missing else "too much"))


def _unsettled(store: Store) -> set[tuple[str, str]]:
    """Traces whose spans landed after the last settlement: a moment behind, not wrong."""
    rows = store.query("SELECT tenant, trace_id FROM settle_queue GROUP BY tenant, trace_id HAVING sum(pending) != 0")
    return {(tenant, trace_id) for tenant, trace_id in rows}


def _without(book: Book, traces: set[tuple[str, str]]) -> Book:
    tenant, trace = DIMS.index("tenant"), DIMS.index("trace_id")
    return {key: amounts for key, amounts in book.items() if (key[tenant], key[trace]) not in traces}


def _wrong_messages(store: Store, run_id: str, books: Books, skip: set[tuple[str, str]]) -> list[Difference]:
    stored = journal.stored_messages(store, run_id)
    result = []
    for key in sorted(books.messages.keys() | stored.keys()):
        should, found = books.messages.get(key), stored.get(key)
        either = should or found
        if should == found or either is None or (either.tenant, either.trace_id) in skip:
            continue
        names = {"tenant": key[0], "conversation_id": key[1], "message_id": key[2]}
        result.append(Difference("messages", names, _fields(should, found), "missing" if found is None else "wrong"))
    return result


def _wrong_anomalies(store: Store, run_id: str, books: Books, skip: set[tuple[str, str]]) -> list[Difference]:
    missing, gone = anomalies.differing(store, run_id, books.anomalies)
    differences = [*((anomaly, "missing") for anomaly in missing), *((anomaly, "too much") for anomaly in gone)]
    return [
        Difference("trace_anomalies", asdict(anomaly), {}, note)
        for anomaly, note in differences
        if (anomaly.tenant, anomaly.trace_id) not in skip
    ]


def _fields(should: Message | None, found: Message | None) -> dict[str, Any]:
    if should is None or found is None:
        return {}
    left, right = asdict(should), asdict(found)
    return {name: {"expected": left[name], "found": right[name]} for name in left if left[name] != right[name]}


def _check_rollup(store: Store, rollup: rollups.Rollup, report: Report, repair: bool) -> None:
    # An entry that is wrong in the ledger is named there; the rollup that had it right is not wrong too.
    rows = rollups.without(rollup, list(rollup.differences(store, report.scope)), report.wrong_entries)
    report.checked[rollup.name] = rollup.count(store, report.scope)
    for key, amounts in rows:
        report.add(Difference(rollup.name, key, amounts, "differs from the ledger"))
    if repair and rows:
        rollup.post(store, rows)
        report.repaired[rollup.name] = len(rows)


def _check_message_list(store: Store, report: Report, repair: bool) -> None:
    wrong = message_list.missing(store, report.scope)
    for key in wrong:
        report.add(Difference("message_list", key, {}, "missing"))
    if repair and wrong:
        message_list.repair(store, report.scope)
        report.repaired["message_list"] = len(wrong)


# Written so that the primary key answers it: a comparison of tuples does not.
_BEHIND = "tenant >= {tenant:String} AND (tenant > {tenant:String} OR trace_id > {trace:String})"
_UNTIL = "tenant <= {t2:String} AND (tenant < {t2:String} OR trace_id <= {id2:String})"
_BOUND = f"""
SELECT tenant, trace_id FROM genai_spans
WHERE {_BEHIND} AND <scope>
ORDER BY tenant, trace_id LIMIT 1 OFFSET {{rows:UInt32}}
"""
_FILL = f"""
INSERT INTO settle_work (run_id, round, tenant, trace_id)
SELECT DISTINCT {{run:String}}, 0, tenant, trace_id FROM
(
    SELECT tenant, trace_id FROM genai_spans WHERE {_BEHIND} AND {_UNTIL} AND <scope>
    UNION ALL
    SELECT tenant, trace_id FROM ledger WHERE {_BEHIND} AND {_UNTIL} AND <scope>
)
"""
_LAST = ("\U0010ffff", "\U0010ffff")


def count_traces(store: Store, scope: Scope) -> int:
    """About how many traces `chunks` goes through; exact below some ten thousand."""
    return int(store.scalar(f"SELECT uniq(tenant, trace_id) FROM genai_spans WHERE {scope.spans()}", scope.params) or 0)


def chunks(store: Store, scope: Scope) -> Iterator[tuple[str, dict[Trace, int]]]:
    """Fills settle_work chunk by chunk with the traces of the scope, in key order; yields the run id of each, and the
    traces that it leaves out because of their number of spans."""
    bound_sql, fill_sql = (sql.replace("<scope>", scope.spans()) for sql in (_BOUND, _FILL))
    tenant, trace = "", ""
    while True:
        parameters = {"tenant": tenant, "trace": trace, **scope.params}
        bound = store.query(bound_sql, {**parameters, "rows": CHUNK_SPANS}, settings=ALONE)
        last = bound[0] if bound else _LAST
        run_id = batches.new_run()
        store.command(fill_sql, {**parameters, "run": run_id, "t2": last[0], "id2": last[1]}, settings=ALONE)
        yield run_id, giants.leave_out(store, run_id)
        if last == _LAST:
            return
        tenant, trace = last


def after_unclean_stop(store: Store, say: Say = lambda _: None) -> dict[str, int]:
    """Makes every rollup equal to the ledger again, before settlement starts; returns corrections by rollup.

    A kill between the parts of one insert can leave the ledger with an entry that a rollup lacks, or the reverse.
    """
    corrected = {}
    for rollup in rollups.all_rollups():
        if rollup.equal_by_bucket(store):
            continue
        rows = list(rollup.differences(store, EVERYTHING))
        rollup.post(store, rows)
        corrected[rollup.name] = len(rows)
        say(f"{rollup.name}: {len(rows)} lines corrected after an unclean stop")
    if lost := message_list.missing(store, EVERYTHING):
        message_list.repair(store, EVERYTHING)
        corrected["message_list"] = len(lost)
        say(f"message_list: {len(lost)} messages copied after an unclean stop")
    return corrected
