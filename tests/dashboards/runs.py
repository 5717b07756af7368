"""Runs every query of the committed dashboards and alert rules, as Grafana would, and keeps what came back.

As a program: `python runs.py DATA_DIR [--traces N] [--days D] [--url CLICKHOUSE_URL] > results.json` makes demo data in
an empty folder (or server) and runs everything; with a filled folder (`--traces 0`) it only runs. A process of its own,
because one process can open one data folder.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
GRAFANA = HERE.parents[1] / "dashboards" / "grafana"
sys.path.insert(0, str(HERE))

import demo_data  # noqa: E402
from plugin import Range, Value, expand, fill  # noqa: E402

from spanledger.store import migrate  # noqa: E402
from spanledger.store.client import Store, open_embedded, open_server  # noqa: E402

BUDGET_USD = "40"
SERVICES = ["chat-service", "search-service", "batch-summaries"]
_POINTS = 500  # about the width of a panel in pixels: how many buckets Grafana asks for
_WIDTHS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True)
class Query:
    """One query of one place: a panel, a variable, an annotation or an alert rule."""

    place: str
    kind: str  # the panel's kind, or variable, annotation, alert
    sql: str
    title: str
    least_s: int = 1
    span: timedelta = timedelta(hours=24)
    may_be_empty: bool = False


@dataclass
class Result:
    """What came back. `types`: ClickHouse types; `rows`: JSON values; `ms`: the better of two runs; `cpu_ms`: the same
    in CPU time of the engine, which other work on the machine stretches less."""

    query: Query
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    ms: float = 0.0
    cpu_ms: float = 0.0
    error: str = ""


def dashboards() -> dict[str, dict[str, Any]]:
    """uid → committed JSON."""
    pages = (json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json")))
    return {page["uid"]: page for page in pages}


def alert_rules() -> list[dict[str, Any]]:
    """The committed rules as Grafana has them after it read the file: `$$` is a dollar, `${NAME}` its environment."""
    text = (GRAFANA / "provisioning" / "alerting" / "spanledger.yaml").read_text()
    rules: list[dict[str, Any]] = yaml.safe_load(_environment(text))["groups"][0]["rules"]
    return rules


def _environment(text: str) -> str:
    parts = text.split("$$")
    return "$".join(part.replace("${SPANLEDGER_MONTHLY_BUDGET_USD}", BUDGET_USD) for part in parts)


def queries() -> Iterator[Query]:
    """Every query there is."""
    for uid, page in dashboards().items():
        span = time_span(page["time"]["from"])
        for panel in page["panels"]:
            for target in panel["targets"]:
                place = f"{uid}/{panel['id']}"
                least = int(panel["interval"].removesuffix("s").removesuffix("m")) if "interval" in panel else 1
                least *= 60 if panel.get("interval", "").endswith("m") else 1
                yield Query(place, panel["type"], target["rawSql"], panel["title"], least, span)
        for variable in page["templating"]["list"]:
            if variable["type"] == "query":
                place = f"{uid}/variable/{variable['name']}"
                yield Query(place, "variable", variable["query"]["rawSql"], variable["label"], 1, span)
        for note in page["annotations"]["list"]:
            yield Query(
                f"{uid}/annotation/{note['name']}", "annotation", note["target"]["rawSql"], note["name"], 1, span
            )
    for rule in alert_rules():
        window = timedelta(seconds=rule["data"][0]["relativeTimeRange"]["from"])
        yield Query(f"alert/{rule['uid']}", "alert", rule["data"][0]["model"]["rawSql"], rule["title"], 1, window)


def time_span(text: str) -> timedelta:
    number, unit = re.fullmatch(r"now-(\d+)([mhd])", text).groups()  # type: ignore[union-attr]
    return timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[unit]: int(number)})


def variables(page: dict[str, Any] | None, chosen: dict[str, Value]) -> dict[str, Value]:
    """Values of a dashboard's variables: `chosen`, else what Grafana shows first."""
    values: dict[str, Value] = {}
    for variable in page["templating"]["list"] if page else []:
        first: Value = variable["query"] if variable["type"] == "textbox" else variable.get("allValue", "")
        values[variable["name"]] = chosen.get(variable["name"], first)
    return values


def run(
    store: Store, query: Query, values: dict[str, Value], end: datetime, times_run: int = 2, note: str = ""
) -> Result:
    """The best of some runs: the first may find cold files. A server's log has them under `note`."""
    result = Result(query)
    settings = {"output_format_json_quote_denormals": 1, "log_comment": f"{note} {query.place}"}
    wanted = query.span.total_seconds() / _POINTS
    width = max(next(w for w in _WIDTHS_S if w >= wanted), query.least_s)
    try:
        sql = expand(fill(query.sql, values), Range(end - query.span, end, width * 1000))
        times, cpu = [], []
        for _ in range(times_run):
            began = time.perf_counter(), time.process_time()
            answer = json.loads(store.raw(sql, "JSONCompact", settings=settings))
            times.append((time.perf_counter() - began[0]) * 1000)
            cpu.append((time.process_time() - began[1]) * 1000)
    except Exception as exc:  # noqa: BLE001 - whatever went wrong belongs to this query's result
        result.error = f"{type(exc).__name__}: {exc}"
        return result
    result.names = [column["name"] for column in answer["meta"]]
    result.types = [column["type"] for column in answer["meta"]]
    result.rows, result.ms, result.cpu_ms = answer["data"], round(min(times), 1), round(min(cpu), 1)
    return result


def run_all(store: Store, end: datetime, chosen: dict[str, Value]) -> list[Result]:
    pages = dashboards()
    return [run(store, q, variables(pages.get(q.place.split("/")[0]), chosen), end, 2, "all") for q in queries()]


def run_panels(store: Store, end: datetime, chosen: dict[str, Value]) -> list[Result]:
    """Those that listen to what is chosen, once."""
    pages = dashboards()
    panels = [q for q in queries() if q.kind not in {"variable", "annotation", "alert"}]
    return [run(store, q, variables(pages[q.place.split("/")[0]], chosen), end, 1, "chosen") for q in panels]


def note_server_cpu(url: str, since: datetime, **results: list[Result]) -> None:
    """Writes `cpu_ms` of queries that a server answered: its log knows."""
    admin = open_server(url)
    admin.command("SYSTEM FLUSH LOGS")
    spent = dict(
        admin.query(
            "SELECT log_comment, min(ProfileEvents['UserTimeMicroseconds'] + ProfileEvents['SystemTimeMicroseconds']) "
            "FROM system.query_log WHERE type = 'QueryFinish' AND event_time >= {since:DateTime('UTC')} "
            "AND log_comment != '' GROUP BY log_comment",
            {"since": since},
        )
    )
    admin.close()
    for note, several in results.items():
        for result in several:
            result.cpu_ms = round(spent.get(f"{note} {result.query.place}", 0) / 1000, 1)


def some_ids(store: Store, end: datetime) -> dict[str, Value]:
    """A message of the data, so that the trace explorer has something to show."""
    row = store.dicts(
        "SELECT tenant, correlation_id, trace_id, user_id, conversation_id FROM messages FINAL "
        "WHERE tenant = 'default' AND status = 'error' AND started_at < {end:DateTime64(3)} "
        "ORDER BY started_at DESC LIMIT 1",
        {"end": end},
    )[0]
    return {
        "tenant": row["tenant"],
        "id": row["correlation_id"],
        "trace": row["trace_id"],
        "budget_usd": BUDGET_USD,
        "user": row["user_id"],
        "conversation": row["conversation_id"],
    }


def _open(arguments: argparse.Namespace) -> Store:
    return open_server(arguments.url) if arguments.url else open_embedded(arguments.data_dir)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--traces", type=int, default=3000)
    parser.add_argument("--days", type=float, default=2.0)
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument(
        "--post-by-sql", action="store_true", help="post the books by SQL: quicker for millions of spans"
    )
    parser.add_argument("--url", help="a ClickHouse server in place of the embedded engine")
    parser.add_argument("--reader-url", help="the same server as a user without rights to write, who asks the queries")
    arguments = parser.parse_args()
    store = _open(arguments)
    try:
        if arguments.traces:
            migrate.migrate(store)
            demo_data.load(
                store,
                arguments.data_dir,
                arguments.traces,
                arguments.days,
                datetime.now(UTC),
                arguments.users,
                settle=not arguments.post_by_sql,
            )
        last = store.scalar("SELECT greatest(max(posted_at), max(started_at) + 60) FROM ledger")
        end = (last + timedelta(seconds=1)).replace(microsecond=0)
        ids = some_ids(store, end)
        spans = store.scalar("SELECT count() FROM otel_traces")
        if arguments.reader_url:
            store.close()
            store = open_server(arguments.reader_url)
        everyone = ids | {"user": "", "conversation": ""}
        one = {"service": SERVICES, "provider": ["openai", "in-house"], "model": ["gpt-4o-mini", "it's"]}
        began = datetime.now(UTC)
        results = {"all": run_all(store, end, everyone), "chosen": run_panels(store, end, ids | one)}
        if arguments.url:
            note_server_cpu(arguments.url, began, **results)
        told = {which: [asdict(result) for result in several] for which, several in results.items()}
        print(json.dumps({"end": end.isoformat(), "spans": spans, **told}, default=str))
    finally:
        store.close()


if __name__ == "__main__":
    main()
