"""`/costs`: cost by any two dimensions and time, against the period before."""

from typing import Any

from fastapi.responses import Response

from spanledger.stats.breakdown import DIMENSIONS
from spanledger.web.page import Page, PageOf, handed_on, page_router
from spanledger.web.ranges import Range, range_of
from spanledger.web.series import SHOWN, series

router = page_router()

ROWS = 100
MOST_ROWS = 100_000  # of the table as a file
OFFERED = tuple(name for name in DIMENSIONS if name != "tenant")


@router.get("/costs")
async def costs(page: PageOf) -> Response:
    range_ = range_of(page.query, "7d")
    first = _dimension(page, "by", "model")
    second = _dimension(page, "and", "")
    bucket = page.query.get("bucket", "")
    bucket = bucket if bucket in {"minute", "hour", "day"} else range_.bucket
    only = {name: values for name in OFFERED if (values := [v for v in page.query.getlist(name) if v])}
    by = ",".join(dict.fromkeys(name for name in (first, second) if name))
    filters = {**range_.window, **only}
    if page.query.get("format") == "csv":
        params = {**filters, "group_by": by, "limit": MOST_ROWS}
        return handed_on(await page.api.raw("GET", "/v1/usage", params, accept="text/csv"), "costs.csv")
    dearest = None
    if page.wants("dearest"):
        dearest = await page.api.maybe("messages", params={**filters, "sort": "-cost", "limit": 10, "totals": "false"})
    if page.is_only("dearest"):
        return page.render("dearest.html", title="Dearest messages", dearest=(dearest or {}).get("items", []))
    drawn = {"bucket": bucket, "series": SHOWN}
    whole, table, before, savings = await page.api.all(
        page.api.get("usage", params={**filters, "group_by": first, "limit": ROWS, **drawn}),
        _table(page, {**filters, "group_by": by, "limit": ROWS}, by != first),
        _before(page, range_, only, by),
        page.api.get("usage", "cache-savings", params=filters),
    )
    return page.render(
        "costs.html",
        title="Costs",
        range=range_,
        first=first,
        second=second,
        bucket=bucket,
        dimensions=OFFERED,
        only=only,
        by=by.split(","),
        table=table or whole,
        before=before,
        savings=savings,
        before_of=_by_key(before, by.split(",")),
        dearest=(dearest or {}).get("items"),
        series=series(range_, whole, first, bucket),
    )


def _dimension(page: Page, name: str, default: str) -> str:
    wanted = page.query.get(name, default)
    return wanted if wanted in OFFERED else default


async def _table(page: Page, filters: dict[str, Any], wanted: bool) -> Any:
    """By both dimensions; None where there is one, whose groups the chart's answer has."""
    return await page.api.get("usage", params=filters) if wanted else None


async def _before(page: Page, range_: Range, only: dict[str, Any], by: str) -> Any:
    if range_.before is None:
        return None
    return await page.api.get("usage", params={**range_.before.window, **only, "group_by": by, "limit": ROWS})


def _by_key(answer: Any, by: list[str]) -> dict[tuple[str, ...], Any]:
    return {tuple(group[name] for name in by): group["usage"] for group in (answer or {}).get("groups", [])}
