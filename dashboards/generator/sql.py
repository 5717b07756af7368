"""The named queries of clickhouse/queries as Grafana needs them: bound parameters become macros and variables.

The API binds `{tenant:String}`, a panel writes `${tenant:sqlstring}` in the same place; nothing else differs.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_QUERIES = ROOT / "clickhouse" / "queries"
_PARAMETER = re.compile(r"\{(\w+):([^{}]+)\}")

Value = str | int | Sequence[str]

# What Grafana itself provides: the time range and the width of a bucket, as macros of the ClickHouse plugin. Alert
# rules, which have no variables, understand them too.
_MACROS = {
    "first_s": "toUnixTimestamp($__fromTime)",
    "last_s": "toUnixTimestamp($__toTime)",
    "first_ns": "(toUnixTimestamp64Milli($__fromTime_ms) * 1000000)",
    "last_ns": "(toUnixTimestamp64Milli($__toTime_ms) * 1000000)",
    "started_first_ns": "(toUnixTimestamp64Milli($__fromTime_ms) * 1000000 - 3600000000000)",
    "bucket_s": "$__interval_s",
}
# Parameters that follow a variable of the dashboard, where it has one; '' and [] do not filter.
_VARIABLES = {
    "tenant": "tenant",
    "user_id": "user",
    "conversation_id": "conversation",
    "trace_id": "trace",
    "id": "id",
    "budget_usd": "budget_usd",
}
ALL = "'*'"  # what "All" stands for in a list: as SQL, since Grafana writes it unquoted


def text(name: str) -> str:
    """The statement of clickhouse/queries/<name>.sql without its header."""
    lines = (_QUERIES / f"{name}.sql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def bind(name: str, variables: Sequence[str] = (), given: Mapping[str, Value] | None = None) -> str:
    """The query with every parameter written out for Grafana.

    `variables`: the names of the dashboard's variables. Raises KeyError for a parameter that nothing gives a value.
    """
    given = given or {}

    def replace(match: re.Match[str]) -> str:
        parameter, kind = match.groups()
        if parameter in given:
            return _literal(given[parameter], kind)
        if parameter in _MACROS:
            return _MACROS[parameter]
        if parameter.startswith("only_"):
            variable = parameter.removeprefix("only_")
            chosen = f"arrayFilter(v -> v != {ALL}, [${{{variable}:sqlstring}}])"
            return chosen if variable in variables else _literal([], kind)
        variable = _VARIABLES[parameter]
        return f"${{{variable}:sqlstring}}" if variable in variables else "''"

    return f"-- clickhouse/queries/{name}.sql\n{_PARAMETER.sub(replace, text(name))}"


def pick(sql: str, columns: Sequence[str], where: str = "", order: str = "", limit: int = 0) -> str:
    """Some columns of a query: ClickHouse does not compute the others."""
    head, _, body = sql.partition("\n")
    rows = "\n".join(f"    {line}" for line in body.splitlines())
    tail = (f"\nWHERE {where}" if where else "") + (f"\nORDER BY {order}" if order else "")
    return f"{head}\nSELECT {', '.join(columns)}\nFROM\n(\n{rows}\n){tail}" + (f"\nLIMIT {limit}" if limit else "")


def _literal(value: Value, kind: str) -> str:
    if kind == "Identifier" or isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value if value.startswith("'${") else f"'{value}'"
    return "[" + ", ".join(f"'{item}'" for item in value) + "]" if value else "CAST([], 'Array(String)')"
