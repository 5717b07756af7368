"""The committed dashboards and alert rules: current, valid for Grafana, and every query answers as its panel needs."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import schema
import yaml
from generator import build
from runs import GRAFANA, alert_rules, dashboards

from ledger_rows import NOON, Post, write_rows
from spanledger.store.client import Store
from spanledger.store.queries import sql

UIDS = {"overview", "cost", "conversations", "users", "models", "workflows", "errors", "trace", "pipeline", "realtime"}
NUMBER = re.compile(r"^(Nullable\()?(U?Int\d+|Float\d+|Decimal)")
TRACE_COLUMNS = {
    "traceID": "String",
    "spanID": "String",
    "parentSpanID": "String",
    "serviceName": "LowCardinality(String)",
    "operationName": "LowCardinality(String)",
    "startTime": "Float64",
    "duration": "Float64",
    "tags": "Array(Map(String, String))",
    "serviceTags": "Array(Map(String, String))",
}
# Panels whose emptiness is good news, or that the choice of one service or model leaves with nothing.
MAY_BE_EMPTY = {"Calls without a price by model", "Anomalies"}

Answer = dict[str, Any]


def test_committed_files_are_what_the_generator_makes() -> None:
    committed = {str(p.relative_to(GRAFANA)): p.read_text() for p in GRAFANA.rglob("*") if p.is_file()}
    assert committed == build.files(), "run `make dashboards` and commit what it writes"


def test_uids_are_fixed() -> None:
    assert set(dashboards()) == {f"spanledger-{name}" for name in UIDS}
    assert {rule["uid"] for rule in alert_rules()} == {
        f"spanledger-{name}"
        for name in ("budget-burn", "error-rate", "ingest-lag", "unpriced-share", "audit-imbalance")
    }


@pytest.mark.parametrize("uid", sorted(f"spanledger-{name}" for name in UIDS))
def test_dashboard_is_valid_by_grafanas_schema(uid: str) -> None:
    assert schema.problems(schema.Dashboard, dashboards()[uid]) == []


def test_schema_check_notices_mistakes() -> None:
    page = dashboards()["spanledger-overview"]
    page["panels"][0]["titel"] = "a key that Grafana does not know"
    page["panels"][1]["title"] = 7
    page["graphTooltip"] = 9
    found = schema.problems(schema.Dashboard, page)
    assert len([p for p in found if "titel" in p or "title" in p or "tooltip" in p.lower()]) == 3


def test_alert_rules_are_valid_by_grafanas_schema() -> None:
    for rule in alert_rules():
        api = {**rule, "folderUID": "spanledger", "ruleGroup": "spanledger", "orgID": 1}
        assert schema.problems(schema.Rule, api) == []


def test_links_lead_to_dashboards_and_variables_that_exist() -> None:
    pages = dashboards()
    names = {uid: {v["name"] for v in page["templating"]["list"]} for uid, page in pages.items()}
    links = set(re.findall(r"/d/([\w-]+)\?([^\"]*)", "".join(p.read_text() for p in GRAFANA.rglob("*.json"))))
    assert {uid for uid, _ in links} == {"spanledger-users", "spanledger-conversations", "spanledger-trace"}
    for uid, query in links:
        assert set(re.findall(r"var-(\w+)=", query)) <= names[uid]


def test_alerts_point_to_panels_that_exist_and_hold_no_variables() -> None:
    pages = dashboards()
    for rule in alert_rules():
        notes = rule["annotations"]
        assert int(notes["__panelId__"]) in {p["id"] for p in pages[notes["__dashboardUid__"]]["panels"]}
        assert "${" not in rule["data"][0]["model"]["rawSql"]


def test_provisioning_names_the_data_source_of_the_panels_and_no_secret() -> None:
    text = (GRAFANA / "provisioning" / "datasources" / "spanledger.yaml").read_text()
    source = yaml.safe_load(text)["datasources"][0]
    used = {p["datasource"]["uid"] for page in dashboards().values() for p in page["panels"]}
    assert used == {source["uid"]}
    assert source["secureJsonData"]["password"] == "${SPANLEDGER_GRAFANA_PASSWORD}"


@pytest.mark.parametrize("which", ["all", "chosen"])
def test_every_query_answers_as_its_panel_needs(answers: Answer, which: str) -> None:
    _all_answer(answers[which])


@pytest.mark.parametrize("which", ["all", "chosen"])
def test_every_query_answers_on_a_server(server_answers: Answer, which: str) -> None:
    _all_answer(server_answers[which])


@pytest.mark.slow
def test_every_query_answers_over_all_shards_of_a_cluster(cluster_answers: Answer) -> None:
    _all_answer(cluster_answers["all"] + cluster_answers["chosen"])
    _levels_balance(cluster_answers)


def _all_answer(results: list[Answer]) -> None:
    wrong = {f"{r['query']['place']} ({r['query']['title']})": p for r in results if (p := _problem(r))}
    assert wrong == {}


def _problem(result: Answer) -> str:
    """What a panel could not show, '' when all is well."""
    query, columns = result["query"], dict(zip(result["names"], result["types"], strict=True))
    if result["error"]:
        return str(result["error"])
    if not result["rows"] and query["title"] not in MAY_BE_EMPTY:
        return "no rows"
    money = [
        n for n, t in columns.items() if n.endswith("cost_usd") and not t.startswith(("Decimal", "Nullable(Decimal"))
    ]
    if money:
        return f"money is not Decimal: {money}"
    return _CHECKS[query["kind"]](columns)


def _one_number(columns: dict[str, str]) -> str:
    numbers = [name for name, kind in columns.items() if NUMBER.match(kind)]
    return "" if len(columns) == 1 and numbers else f"one number is needed, not {columns}"


def _over_time(columns: dict[str, str]) -> str:
    (time, kind), *others = columns.items()
    if time != "time" or not kind.startswith("DateTime"):
        return f"the first column must be a time, not {time} {kind}"
    text = [n for n, k in others if "String" in k]
    numbers = [n for n, k in others if NUMBER.match(k)]
    good = numbers and len(text) + len(numbers) == len(others) and text in ([], ["series"])
    return "" if good else f"a series and numbers are needed, not {columns}"


def _table(columns: dict[str, str]) -> str:
    odd = {n: k for n, k in columns.items() if not (NUMBER.match(k) or "String" in k or k.startswith("DateTime"))}
    return f"a cell cannot show {odd}" if odd else ""


def _trace(columns: dict[str, str]) -> str:
    odd = {n: columns.get(n) for n, k in TRACE_COLUMNS.items() if columns.get(n) != k}
    return f"the trace panel needs {TRACE_COLUMNS}, not {odd}" if odd else ""


def _logs(columns: dict[str, str]) -> str:
    good = columns["timestamp"].startswith("DateTime64") and columns["body"] == "String" and "level" in columns
    return "" if good else f"the logs panel needs timestamp, body and level, not {columns}"


def _alert(columns: dict[str, str]) -> str:
    numbers = [n for n, k in columns.items() if NUMBER.match(k)]
    labels = [n for n, k in columns.items() if "String" in k]
    good = len(numbers) == 1 and labels and len(numbers) + len(labels) == len(columns)
    return "" if good else f"an alert needs one number and labels, not {columns}"


_CHECKS = {
    "stat": _one_number,
    "gauge": _one_number,
    "timeseries": _over_time,
    "table": _table,
    "traces": _trace,
    "logs": _logs,
    "variable": lambda c: "" if len(c) == 1 and "String" in next(iter(c.values())) else f"one text is needed, not {c}",
    "annotation": lambda c: "" if set(c) == {"time", "text", "tags"} else f"time, text and tags are needed, not {c}",
    "alert": _alert,
}


def test_dashboards_agree_with_each_other(answers: Answer) -> None:
    shown = {(r["query"]["place"].split("/")[0], r["query"]["title"]): r for r in answers["all"]}
    total = Decimal(str(shown["spanledger-overview", "Cost"]["rows"][0][0]))
    by_model = shown["spanledger-overview", "Cost by model"]["rows"]
    by_service = shown["spanledger-overview", "By service"]["rows"]
    assert total > 0
    assert sum(Decimal(str(row[2])) for row in by_model) == total
    assert sum(Decimal(str(row[5])) for row in by_service) == total


def test_the_books_of_the_data_balance(answers: Answer) -> None:
    _levels_balance(answers)


def _levels_balance(answers: Answer) -> None:
    levels = next(r for r in answers["all"] if r["query"]["title"] == "Levels of the books")
    assert [row[-1] for row in levels["rows"]] == [0, 0, 0, 0]
    alert = next(r for r in answers["all"] if r["query"]["place"] == "alert/spanledger-audit-imbalance")
    assert {row[-1] for row in alert["rows"]} == {0}


def test_durations_are_those_of_the_data(answers: Answer) -> None:
    shown = {(r["query"]["place"].split("/")[0], r["query"]["title"]): r for r in answers["all"]}
    for page, title in (
        ("errors", "Duration of calls"),
        ("errors", "Duration of messages"),
        ("errors", "Duration of tools"),
    ):
        rows = shown[f"spanledger-{page}", title]["rows"]
        assert all(0.01 < p50 <= p95 <= p99 < 20 for _, p50, p95, p99 in rows), title


def test_annotations_tell_of_releases_and_prices(answers: Answer) -> None:
    notes = {
        r["query"]["title"]: r["rows"]
        for r in answers["all"]
        if r["query"]["place"].startswith("spanledger-overview/an")
    }
    assert [row[1] for row in notes["Releases"]] == ["collector 0.161.0"]
    assert [row[1] for row in notes["Prompt releases"]] == ["prompt answer 4"]
    assert len(notes["Re-pricing"]) == 1
    assert re.fullmatch(r"prices changed: \d+ calls, \+0\.\d+ USD", notes["Re-pricing"][0][1])


def test_spans_that_settlement_has_not_read_are_late(store: Store, tenant: str) -> None:
    read = {"tenant": tenant, "trace_id": "t", "span_id": "a", "started_at": NOON, "received_at": NOON // 1_000_000}
    write_rows(store, "genai_spans", [{**read, "normalised": 0}, {**read, "normalised": 1}])
    minute_later = {"tenant": tenant, "last_ns": NOON + 60 * 1_000_000_000}
    (row,) = store.dicts(sql("dashboards/settlement"), minute_later)
    assert (row["waiting_traces"], row["oldest_waiting_s"]) == (0, 0)
    write_rows(store, "genai_spans", [{**read, "span_id": "b", "normalised": 0}])
    (row,) = store.dicts(sql("dashboards/settlement"), minute_later)
    assert (row["waiting_traces"], row["waiting_spans"], row["oldest_waiting_s"]) == (1, 1, 60)


def test_trace_panel_shows_each_span_once(answers: Answer) -> None:
    frame = next(r for r in answers["all"] if r["query"]["kind"] == "traces")
    spans = [row[frame["names"].index("spanID")] for row in frame["rows"]]
    parents = {row[frame["names"].index("parentSpanID")] for row in frame["rows"]} - {""}
    assert len(spans) == len(set(spans)) == 10
    assert parents <= set(spans)


def test_the_same_query_serves_bound_parameters(store: Store, tenant: str, post: Post) -> None:
    """What a panel says with macros, the API says with parameters."""
    post(cost_usd="0.000000000000001", model="m", service="s", input_tokens=10, output_tokens=5)
    post(cost_usd="12345678901234567890.5", model="m", service="s")
    post(cost_usd="1", model="other", service="s")
    noon = NOON // 1_000_000_000
    bound = {"tenant": tenant, "first_s": noon - 60, "last_s": noon + 60}
    only = {"only_service": ["s"], "only_provider": [], "only_model": ["m"], "only_workflow": []}
    (row,) = store.dicts(sql("dashboards/usage_total"), {**bound, **only})
    assert (row["llm_calls"], row["total_tokens"]) == (2, 15)
    assert row["cost_usd"] == Decimal("12345678901234567890.500000000000001")


def test_a_corrected_duration_leaves_the_distribution(store: Store, tenant: str, post: Post) -> None:
    wrong = {"span_id": "a", "duration_ns": 9_000_000_000, "llm_calls": 1}
    post(**wrong)
    post(span_id="a", duration_ns=-9_000_000_000, llm_calls=-1)
    post(span_id="a", duration_ns=1_000_000_000, llm_calls=1)
    bound = {"tenant": tenant, "first_ns": NOON - 1, "last_ns": NOON + 1, "bucket_s": 60, "kind": "call"}
    only = {f"only_{name}": [] for name in ("service", "provider", "model", "workflow")}
    (row,) = store.dicts(sql("dashboards/latency_over_time"), {**bound, **only})
    assert row["time"] == datetime(2026, 11, 21, 12)
    assert row["p50_s"] == row["p99_s"] == pytest.approx(1, rel=0.011)
