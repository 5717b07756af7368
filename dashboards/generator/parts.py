"""What the dashboards have in common: variables, annotations, links, and short ways to say a panel."""

from collections.abc import Mapping, Sequence
from typing import Any

from generator import sql
from generator.model import Annotation, Column, Panel, Variable
from generator.sql import Value

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
USD, SHARE, SECONDS = "currencyUSD", "percentunit", "s"
ERRORS = ((None, GREEN), (0.02, YELLOW), (0.1, RED))
UNPRICED = ((None, GREEN), (0.01, YELLOW), (0.1, RED))
NONE = ((None, GREEN), (1, RED))

_KEEP = "${tenant:queryparam}&${__url_time_range}"
_RAW = "${__value.raw:percentencode}"
TO_USER = f"/d/spanledger-users?var-user={_RAW}&{_KEEP}"
TO_CONVERSATION = f"/d/spanledger-conversations?var-conversation={_RAW}&{_KEEP}"
TO_ID = f"/d/spanledger-trace?var-id={_RAW}&{_KEEP}"
TO_TRACE = f"/d/spanledger-trace?var-id={_RAW}&var-trace={_RAW}&{_KEEP}"

TENANT = Variable(name="tenant", label="Tenant", query=sql.bind("dashboards/tenants"))
USER = Variable(name="user", label="User")
CONVERSATION = Variable(name="conversation", label="Conversation")


def dimension(name: str, label: str) -> Variable:
    """Any values of one dimension; "All" to begin with."""
    return Variable(
        name=name, label=label, query=sql.bind("dashboards/dimension_values", ["tenant"], {"by": name}), multi=True
    )


FILTERS = (
    TENANT,
    dimension("service", "Service"),
    dimension("provider", "Provider"),
    dimension("model", "Model"),
    dimension("workflow", "Workflow"),
)

ANNOTATIONS = (
    Annotation(name="Releases", query=sql.bind("dashboards/releases", ["tenant"]), color=BLUE),
    Annotation(name="Prompt releases", query=sql.bind("dashboards/prompt_releases", ["tenant"]), color="purple"),
    Annotation(name="Re-pricing", query=sql.bind("dashboards/repricings", ["tenant"]), color="orange"),
)

IDS = (
    Column(name="user_id", title="User", link=TO_USER, link_title="This user"),
    Column(name="conversation_id", title="Conversation", link=TO_CONVERSATION, link_title="This conversation"),
    Column(name="message_id", title="Message", link=TO_ID, link_title="The traces of this message"),
    Column(name="correlation_id", title="Correlation id", link=TO_ID, link_title="The traces of this correlation id"),
    Column(name="trace_id", title="Trace", link=TO_TRACE, link_title="This trace"),
)
_TITLES = {
    "workflow": "Workflow",
    "models": "Models",
    "tools": "Tools",
    "status": "Status",
    "error_type": "Error",
    "service": "Service",
    "root": "Root span",
    "spans": "Spans",
    "role": "Role",
    "provider": "Provider",
    "model": "Model",
    "tool": "Tool",
    "span_id": "Span id",
    "count": "Count",
}
FIGURES = (
    *(Column(name=name, title=title) for name, title in _TITLES.items()),
    Column(name="series", title=" "),
    Column(name="started_at", title="Started", unit="dateTimeAsIso", width=190),
    Column(name="first_at", title="First", unit="dateTimeAsIso", width=190),
    Column(name="last_at", title="Last", unit="dateTimeAsIso", width=190),
    Column(name="llm_calls", title="LLM calls", unit="short"),
    Column(name="failed_calls", title="Failed calls", unit="short"),
    Column(name="input_tokens", title="Input tokens", unit="short"),
    Column(name="output_tokens", title="Output tokens", unit="short"),
    Column(name="cost_usd", title="Cost", unit=USD),
    Column(name="cost_per_call_usd", title="Cost per call", unit=USD),
    Column(name="error_share", title="Failed", unit=SHARE),
    Column(name="unpriced_share", title="Without price", unit=SHARE),
    Column(name="cache_share", title="From cache", unit=SHARE),
    Column(name="duration_s", title="Duration", unit=SECONDS),
    Column(name="mean_call_s", title="Mean duration", unit=SECONDS),
    Column(name="p50_s", title="p50", unit=SECONDS),
    Column(name="p95_s", title="p95", unit=SECONDS),
    Column(name="p99_s", title="p99", unit=SECONDS),
)


# Messages and tools have no provider and no model of their own.
OF_ANY_MODEL: dict[str, Value] = {"only_provider": [], "only_model": []}


class Maker:
    """Panels of one dashboard: its queries know which variables it has."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = [v.name for v in variables]

    def query(self, name: str, columns: Sequence[str] = (), where: str = "", **given: Value) -> str:
        bound = sql.bind(name if name == "realtime" else f"dashboards/{name}", self.variables, given)
        return (
            sql.pick(bound, columns, where, order="time" if columns and columns[0] == "time" else "")
            if columns
            else bound
        )

    def number(self, title: str, name: str, column: str, unit: str = "short", **more: Any) -> Panel:
        """One figure."""
        given = more.pop("given", {})
        look = {"kind": "stat", "width": 4, "height": 4, **more}
        return Panel(title=title, query=self.query(name, [column], **given), unit=unit, **look)

    def lines(self, title: str, name: str, values: Mapping[str, str], unit: str = "short", **more: Any) -> Panel:
        """Columns of a query over time; `values`: column → what the legend says."""
        given = more.pop("given", {})
        columns = tuple(Column(name=column, title=shown) for column, shown in values.items())
        query = self.query(name, ["time", *values], **given)
        return Panel(
            title=title, kind="timeseries", query=query, unit=unit, columns=columns, least_interval="1m", **more
        )

    def series(self, title: str, name: str, value: str, unit: str = "short", where: str = "", **more: Any) -> Panel:
        """One value over time, a line for each series."""
        given = more.pop("given", {})
        query = self.query(name, ["time", "series", value], where, **given)
        return Panel(
            title=title, kind="timeseries", query=query, unit=unit, by_series=True, least_interval="1m", **more
        )

    def table(self, title: str, name: str, columns: Sequence[str] = (), where: str = "", **more: Any) -> Panel:
        given = more.pop("given", {})
        own: tuple[Column, ...] = more.pop("look", ())
        return Panel(
            title=title,
            kind="table",
            query=self.query(name, columns, where, **given),
            columns=(*IDS, *FIGURES, *own),
            **more,
        )
