"""Pages of what the registry keeps: by name, or the versions of one name. The cursor is the last one seen."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query

from spanledger.api.parameters import limit
from spanledger.stats.cursors import read_place, write_place

Found = TypeVar("Found")
Limit = Annotated[int, limit(1000)]
NameCursor = Annotated[
    str, Query(max_length=8192, description="`next_cursor` of the page before; without it the first page.")
]


def after_name(cursor: str) -> str:
    """Raises BadRequest."""
    return str(read_place(cursor, (str,))[0]) if cursor else ""


def before_version(cursor: str) -> int:
    """Raises BadRequest."""
    return int(read_place(cursor, (int,))[0]) if cursor else 0


def page_of(
    found: tuple[Sequence[Found], bool], shown: Callable[[Found], Any], place: Callable[[Found], str | int]
) -> dict[str, Any]:
    """The members of a page. `found`: what is on it, and whether there is more."""
    items, more = found
    return {"items": [shown(one) for one in items], "next_cursor": write_place([place(items[-1])]) if more else None}


def name_of(one: Any) -> str:
    return str(one.name)
