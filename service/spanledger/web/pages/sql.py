"""`/sql`: read-only SQL on the caller's own rows, in the API's sandbox."""

import json
from typing import Any

from fastapi.responses import Response

from spanledger.web.api_client import ApiRefusal
from spanledger.web.page import Page, PageOf, page_router

router = page_router()

SHOWN = 1_000  # rows of an answer; the CSV has all of them
EXAMPLE = """SELECT model, sum(llm_calls) AS calls, sum(cost_usd) AS usd
FROM ledger
WHERE kind = 'call'
GROUP BY model
ORDER BY usd DESC"""


@router.get("/sql")
async def sql(page: PageOf) -> Response:
    query = page.query.get("query", "")
    if query and page.query.get("format") == "csv":
        answer = await page.api.raw("POST", "/v1/sql", body={"query": query, "format": "csv"})
        if answer.status_code == 200:
            named = {"Content-Disposition": 'attachment; filename="spanledger.csv"'}
            return Response(answer.content, media_type="text/csv; charset=utf-8", headers=named)
    result, error = await _run(page, query) if query else (None, "")
    tables = await _run(page, "SHOW TABLES")
    table = page.query.get("table", "")
    names = [row[0] for row in (tables[0] or {"data": []})["data"] if not row[0].endswith("_mv")]
    columns = await _run(page, f"DESCRIBE TABLE `{table}`") if table in names else (None, "")
    return page.render(
        "sql.html",
        title="SQL",
        text=query or EXAMPLE,
        result=result,
        error=error,
        tables=names,
        table=table,
        columns=(columns[0] or {"data": []})["data"],
        shown=SHOWN,
    )


async def _run(page: Page, query: str) -> tuple[Any, str]:
    """The answer, or why there is none."""
    try:
        answer = await page.api.call("POST", "sql", body={"query": query})
    except ApiRefusal as exc:
        return None, str(exc)
    return (json.loads(answer) if isinstance(answer, str) else answer), ""
