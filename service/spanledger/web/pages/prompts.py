"""`/catalogue/prompts/{name}`: the versions of a prompt, and what changed from one to another."""

import difflib
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastapi.responses import Response

from spanledger.web.page import Page, PageOf, page_router
from spanledger.web.ranges import range_of

router = page_router()

_MOST_VERSIONS = 1_000
_MOST_LINES = 2_000  # of a text whose changes are shown


class Line(NamedTuple):
    """`sign` is `+`, `-` or empty."""

    sign: str
    text: str


@router.get("/catalogue/prompts/{name}")
async def prompt(page: PageOf, name: str) -> Response:
    range_ = range_of(page.query, "30d")
    found, effect = await page.api.all(
        page.api.get("prompts", name, "versions", params={"limit": _MOST_VERSIONS}),
        page.api.maybe("prompts", name, "effectiveness", params=range_.window),
    )
    versions = {str(one["version"]): one for one in found["items"]}
    new = _chosen(page, "new", versions, next(iter(versions)))
    old = _chosen(page, "old", versions, str(int(new) - 1))
    return page.render(
        "prompt.html",
        title=f"Prompt {name[:40]}",
        name=name,
        range=range_,
        versions=found["items"],
        new=versions[new],
        old=versions.get(old),
        changes=list(_changes(versions[old]["text"] if old in versions else "", versions[new]["text"])),
        by_version={str(one["version"]): one for one in (effect or {}).get("versions", [])},
    )


def _chosen(page: Page, name: str, versions: dict[str, Any], default: str) -> str:
    wanted = page.query.get(name, "")
    return wanted if wanted in versions else default


def _changes(old: str, new: str) -> Iterator[Line]:
    """Every line, and how it changed."""
    before, after = old.splitlines()[:_MOST_LINES], new.splitlines()[:_MOST_LINES]
    for kind, first, last, start, end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Line("", text) for text in before[first:last])
        else:
            yield from (Line("-", text) for text in before[first:last])
            yield from (Line("+", text) for text in after[start:end])
