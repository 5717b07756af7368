"""Dashboards, panels and variables as plain data, and the JSON that Grafana reads (classic, schema version 41)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from generator import sql

Json = dict[str, Any]

DATASOURCE: Json = {"type": "grafana-clickhouse-datasource", "uid": "spanledger-clickhouse"}
PLUGIN_VERSION = "4.20.0"
SCHEMA_VERSION = 41
# Formats of the plugin's queries: what the backend makes of the rows.
_FORMATS = {"timeseries": 0, "table": 1, "logs": 2, "traces": 3}
_DEFAULTS: dict[str, Json] = {
    "stat": {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    },
    "gauge": {"showThresholdLabels": False, "showThresholdMarkers": True},
    "timeseries": {"legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}},
    "barchart": {"orientation": "horizontal", "showValue": "auto", "stacking": "none", "xField": ""},
    "table": {"showHeader": True, "cellHeight": "sm"},
    "logs": {
        "showTime": True,
        "wrapLogMessage": True,
        "sortOrder": "Ascending",
        "dedupStrategy": "none",
        "enableLogDetails": True,
    },
    "traces": {},
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """How one column of a result looks. `link`: a path with Grafana's variables, opened from the value."""

    name: str
    title: str = ""
    unit: str = ""
    decimals: int | None = None
    link: str = ""
    link_title: str = ""
    width: int = 0
    hidden: bool = False

    def override(self) -> Json:
        properties: list[Json] = []
        if self.title:
            properties.append({"id": "displayName", "value": self.title})
        if self.unit:
            properties.append({"id": "unit", "value": self.unit})
        if self.decimals is not None:
            properties.append({"id": "decimals", "value": self.decimals})
        if self.link:
            properties.append({"id": "links", "value": [{"title": self.link_title, "url": self.link}]})
        if self.width:
            properties.append({"id": "custom.width", "value": self.width})
        if self.hidden:
            properties.append({"id": "custom.hidden", "value": True})
        return {"matcher": {"id": "byName", "options": self.name}, "properties": properties}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel with one query. `width` of 24, `height` of about 30 px; `reduce`: how a stat reads several rows."""

    title: str
    kind: str
    query: str
    description: str = ""
    width: int = 12
    height: int = 8
    unit: str = "short"
    decimals: int | None = None
    columns: Sequence[Column] = ()
    thresholds: Sequence[tuple[float | None, str]] = ()
    by_series: bool = False
    stacked: bool = False
    bars: bool = False
    least_interval: str = ""
    maximum: float | None = None
    words: Mapping[str, str] = field(default_factory=dict)  # what to write in place of a value
    options: Json = field(default_factory=dict)
    may_be_empty: bool = False  # an empty answer is a good one: no anomalies, no open alerts

    @property
    def format(self) -> str:
        return {"timeseries": "timeseries", "logs": "logs", "traces": "traces"}.get(self.kind, "table")

    def json(self, number: int, x: int, y: int) -> Json:
        panel: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [target(self.query, self.format)],
            "options": self._options(),
            "fieldConfig": {"defaults": self._field_defaults(), "overrides": [c.override() for c in self.columns]},
        }
        if self.description:
            panel["description"] = self.description
        if self.least_interval:
            panel["interval"] = self.least_interval
        return panel

    def _options(self) -> Json:
        options = dict(_DEFAULTS[self.kind])
        if self.kind in {"stat", "gauge"}:
            options["reduceOptions"] = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        if self.kind == "timeseries":
            options["tooltip"] = {"mode": "multi", "sort": "desc"}
        return {**options, **self.options}

    def _field_defaults(self) -> Json:
        defaults: Json = {"unit": self.unit}
        if self.decimals is not None:
            defaults["decimals"] = self.decimals
        if self.by_series:
            defaults["displayName"] = "${__field.labels.series}"
        if self.maximum is not None:
            defaults |= {"min": 0, "max": self.maximum}
        if self.thresholds:
            steps = [{"value": value, "color": color} for value, color in self.thresholds]
            defaults |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
        if self.words:
            options = {
                number: {"text": word, "index": place} for place, (number, word) in enumerate(self.words.items())
            }
            defaults["mappings"] = [{"type": "value", "options": options}]
        if self.kind == "timeseries":
            defaults["custom"] = {
                "drawStyle": "bars" if self.bars else "line",
                "fillOpacity": 80 if self.bars else 15,
                "lineWidth": 1,
                "showPoints": "auto",
                "spanNulls": False,
                "stacking": {"group": "A", "mode": "normal" if self.stacked else "none"},
            }
        return defaults


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A choice at the top of a dashboard: from a query, or free text when `query` is empty."""

    name: str
    label: str
    query: str = ""
    multi: bool = False
    default: str = ""

    def json(self) -> Json:
        common: Json = {"name": self.name, "label": self.label, "hide": 0, "skipUrlSync": False}
        if not self.query:
            chosen = {"selected": True, "text": self.default, "value": self.default}
            return {**common, "type": "textbox", "query": self.default, "current": chosen, "options": [chosen]}
        everything: Json = {"selected": True, "text": ["All"], "value": ["$__all"]}
        return {
            **common,
            "type": "query",
            "datasource": DATASOURCE,
            "definition": self.query,
            "query": {"refId": self.name, "queryType": "sql", "rawSql": self.query},
            "refresh": 2,
            "sort": 0,
            "multi": self.multi,
            "includeAll": self.multi,
            **({"allValue": sql.ALL, "current": everything} if self.multi else {"current": {}}),
            "options": [],
        }


@dataclass(frozen=True, kw_only=True)
class Annotation:
    name: str
    query: str
    color: str

    def json(self) -> Json:
        return {
            "name": self.name,
            "datasource": DATASOURCE,
            "enable": True,
            "hide": False,
            "iconColor": self.color,
            "target": target(self.query, "table"),
        }


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """`uid` is fixed for ever: links and bookmarks hang on it."""

    uid: str
    title: str
    description: str
    panels: Sequence[Panel]
    variables: Sequence[Variable]
    annotations: Sequence[Annotation] = ()
    span: str = "now-24h"
    refresh: str = "1m"

    def json(self) -> Json:
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["spanledger"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "utc",
            "time": {"from": self.span, "to": "now"},
            "timepicker": {},
            "refresh": self.refresh,
            "fiscalYearStartMonth": 0,
            "links": [_LINKS],
            "templating": {"list": [v.json() for v in self.variables]},
            "annotations": {"list": [a.json() for a in self.annotations]},
            "panels": _flow(self.panels),
        }


_LINKS: Json = {
    "title": "Spanledger",
    "type": "dashboards",
    "icon": "external link",
    "tooltip": "",
    "url": "",
    "tags": ["spanledger"],
    "asDropdown": True,
    "targetBlank": False,
    "includeVars": True,
    "keepTime": True,
}


def target(query: str, kind: str) -> Json:
    return {
        "refId": "A",
        "datasource": DATASOURCE,
        "editorType": "sql",
        "queryType": kind,
        "format": _FORMATS[kind],
        "pluginVersion": PLUGIN_VERSION,
        "rawSql": query,
    }


def _flow(panels: Sequence[Panel]) -> list[Json]:
    """Panels from left to right in rows of 24; a row is as high as its highest panel."""
    placed, x, y, row = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > 24:
            x, y, row = 0, y + row, 0
        placed.append(panel.json(number, x, y))
        x, row = x + panel.width, max(row, panel.height)
    return placed
