"""The named queries of `clickhouse/queries`: one file per question, parameters bound, shared with dashboards."""

from functools import cache

from spanledger import resources


@cache
def sql(name: str) -> str:
    """The statement of `clickhouse/queries/<name>.sql` without its header."""
    text = (resources.folder("clickhouse") / "queries" / f"{name}.sql").read_text()
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
