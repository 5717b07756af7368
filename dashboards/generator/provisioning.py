"""What Grafana reads at start: the data source, where the dashboards lie, the alert rules.

Grafana expands $VARIABLES in these files, so a literal dollar stands twice; secrets come from its environment.
"""

from dataclasses import dataclass
from typing import Any

from generator import sql
from generator.model import DATASOURCE, Json, target
from spanledger.stats.alerts import ERROR_RATE, UNPRICED_SHARE

DATASOURCES: Json = {
    "apiVersion": 1,
    "datasources": [
        {
            "name": "Spanledger",
            "uid": DATASOURCE["uid"],
            "type": DATASOURCE["type"],
            "access": "proxy",
            "isDefault": True,
            "editable": False,
            "jsonData": {
                "host": "${SPANLEDGER_CLICKHOUSE_HOST}",
                "port": "${SPANLEDGER_CLICKHOUSE_PORT}",
                "protocol": "native",
                "secure": False,
                "username": "${SPANLEDGER_GRAFANA_USER}",
                "defaultDatabase": "${SPANLEDGER_CLICKHOUSE_DATABASE}",
                "queryTimeout": "20",
            },
            "secureJsonData": {"password": "${SPANLEDGER_GRAFANA_PASSWORD}"},
        }
    ],
}

DASHBOARDS: Json = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "spanledger",
            "orgId": 1,
            "folder": "Spanledger",
            "folderUid": "spanledger",
            "type": "file",
            "allowUiUpdates": False,
            "updateIntervalSeconds": 30,
            "options": {"path": "${SPANLEDGER_DASHBOARDS_PATH}"},
        }
    ],
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Fires for every row of the query whose number is above `above`, after it has been so for `lasting`."""

    uid: str
    title: str
    query: str
    above: float
    window_s: int
    lasting: str
    severity: str
    summary: str
    dashboard: str
    panel: str

    def bound(self) -> str:
        """The query as Grafana sees it when it has read the file."""
        return sql.bind(f"dashboards/{self.query}", given={"budget_usd": "'${SPANLEDGER_MONTHLY_BUDGET_USD}'"})

    def json(self, panel_id: int) -> Json:
        model = target(self.bound(), "table") | {"intervalMs": 60_000, "maxDataPoints": 1000}
        model["rawSql"] = model["rawSql"].replace("$__", "$$__")
        threshold: dict[str, Any] = {
            "refId": "B",
            "type": "threshold",
            "datasource": {"type": "__expr__", "uid": "__expr__"},
            "expression": "A",
            "conditions": [{"type": "query", "evaluator": {"type": "gt", "params": [self.above]}}],
        }
        window = {"from": self.window_s, "to": 0}
        return {
            "uid": self.uid,
            "title": self.title,
            "condition": "B",
            "for": self.lasting,
            "noDataState": "OK",
            "execErrState": "Error",
            "isPaused": False,
            "labels": {"severity": self.severity, "system": "spanledger"},
            "annotations": {
                "summary": self.summary.replace("{{ $", "{{ $$"),
                "runbook_url": f"docs/dashboards.md#{self.uid}",
                "__dashboardUid__": self.dashboard,
                "__panelId__": str(panel_id),
            },
            "data": [
                {"refId": "A", "relativeTimeRange": window, "datasourceUid": DATASOURCE["uid"], "model": model},
                {"refId": "B", "relativeTimeRange": window, "datasourceUid": "__expr__", "model": threshold},
            ],
        }


RULES = (
    Rule(
        uid="spanledger-budget-burn",
        title="Budget burn",
        query="alert_budget_burn",
        above=1,
        window_s=3600,
        lasting="15m",
        severity="warning",
        summary="At the pace of the last 24 hours {{ $labels.tenant }} spends more than its monthly budget",
        dashboard="spanledger-cost",
        panel="Projected share of budget",
    ),
    Rule(
        uid="spanledger-error-rate",
        title="Error rate of LLM calls",
        query="alert_error_rate",
        above=ERROR_RATE.above,
        window_s=ERROR_RATE.window_s,
        lasting="5m",
        severity="critical",
        summary="More than a tenth of the LLM calls of {{ $labels.service }} ({{ $labels.tenant }}) fail",
        dashboard="spanledger-errors",
        panel="Failed share of calls by service",
    ),
    Rule(
        uid="spanledger-ingest-lag",
        title="Ingest lag",
        query="alert_ingest_lag",
        above=30,
        window_s=300,
        lasting="5m",
        severity="critical",
        summary="Spans are more than 30 s behind at {{ $labels.stage }}",
        dashboard="spanledger-pipeline",
        panel="From a span's end to its receipt",
    ),
    Rule(
        uid="spanledger-unpriced-share",
        title="Calls without a price",
        query="alert_unpriced_share",
        above=UNPRICED_SHARE.above,
        window_s=UNPRICED_SHARE.window_s,
        lasting="15m",
        severity="warning",
        summary="{{ $labels.model }} ({{ $labels.tenant }}) is served without a price: add one and re-price",
        dashboard="spanledger-pipeline",
        panel="Calls without a price",
    ),
    Rule(
        uid="spanledger-audit-imbalance",
        title="The books do not balance",
        query="alert_audit_imbalance",
        above=0,
        window_s=86_400,
        lasting="5m",
        severity="critical",
        summary="{{ $labels.level }} of {{ $labels.tenant }} does not balance: run `spanledger audit --repair`",
        dashboard="spanledger-pipeline",
        panel="Do the books balance?",
    ),
)


def alerting(panel_ids: dict[tuple[str, str], int]) -> Json:
    """`panel_ids`: (dashboard uid, panel title) → id; a rule that points to no panel raises KeyError."""
    rules = [rule.json(panel_ids[rule.dashboard, rule.panel]) for rule in RULES]
    group = {"orgId": 1, "name": "spanledger", "folder": "Spanledger", "interval": "1m", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}
