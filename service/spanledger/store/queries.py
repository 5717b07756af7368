"""The named queries of `clickhouse/queries`: one file per question, parameters bound, shared with dashboards."""

import re
from functools import cache

from spanledger import resources

_OF_DIMENSION = re.compile(r" -- dimension (\w+)$")
_INCLUDE = re.compile(r"^ *-- include (\S+)$", re.MULTILINE)


@cache
def sql(name: str) -> str:
    """The statement of `clickhouse/queries/<name>.sql` without its header, with the parts that it includes."""
    text = (resources.folder("clickhouse") / "queries" / f"{name}.sql").read_text()
    statement = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return _INCLUDE.sub(lambda found: sql(found[1]), statement)


@cache
def narrowed(name: str, dimensions: frozenset[str]) -> str:
    """The same without the lines of other dimensions, which end in `-- dimension NAME`."""
    kept = []
    for line in sql(name).splitlines():
        of = _OF_DIMENSION.search(line)
        if of is None or of[1] in dimensions:
            kept.append(line)
    return "\n".join(kept)
