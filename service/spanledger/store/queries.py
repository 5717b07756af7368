"""The named queries of `clickhouse/queries`: one file per question, parameters bound, shared with dashboards."""

import re
from collections.abc import Collection
from functools import cache

from spanledger import resources

_OF = re.compile(r" -- ((?:by|only) \w+|series)$")
_BLOCK = re.compile(r"^ *-- begin (no )?(.+)\n((?:.*\n)*?) *-- end .+\n", re.MULTILINE)
_INCLUDE = re.compile(r"^ *-- include (\S+)$", re.MULTILINE)


@cache
def sql(name: str) -> str:
    """The statement of `clickhouse/queries/<name>.sql` without its header, with the parts that it includes."""
    text = (resources.folder("clickhouse") / "queries" / f"{name}.sql").read_text()
    statement = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return _INCLUDE.sub(lambda found: sql(found[1]), statement)


@cache
def narrowed(name: str, wanted: frozenset[str]) -> str:
    """The same with only the lines and blocks that are `wanted`, beside those without a mark.

    Marks at the end of a line: `-- by NAME` (a dimension that is grouped by), `-- only NAME` (one that is filtered),
    `-- series`. A block lies between `-- begin MARK` and `-- end MARK`; one of `no MARK` stays where it is not wanted.
    """
    text = _BLOCK.sub(lambda found: found[3] if (found[2] in wanted) != bool(found[1]) else "", sql(name) + "\n")
    return "\n".join(line for line in text.splitlines() if (of := _OF.search(line)) is None or of[1] in wanted)


def marks(by: Collection[str] = (), only: Collection[str] = (), series: bool = False) -> frozenset[str]:
    """What `narrowed` keeps for these dimensions."""
    named = {*(f"by {name}" for name in by), *(f"only {name}" for name in only)}
    return frozenset(named | {"series"}) if series else frozenset(named)
