"""`/catalogue`: workflows, agents, tools, prompts, experiments and jobs, as the API knows them."""

from fastapi.responses import Response

from spanledger.web.page import PageOf, page_router
from spanledger.web.ranges import range_of

router = page_router()


@router.get("/catalogue")
async def catalogue(page: PageOf) -> Response:
    range_ = range_of(page.query, "7d")
    workflows, agents, tools, prompts, experiments, jobs = await page.api.all(
        page.api.maybe("behaviour", "workflows", params=range_.window),
        page.api.maybe("agents"),
        page.api.maybe("tools"),
        page.api.maybe("prompts"),
        page.api.maybe("experiments"),
        page.api.maybe("jobs", params={"limit": 20}),
    )
    named = {"workflows": workflows, "agents": agents, "tools": tools, "prompts": prompts}
    return page.render(
        "catalogue.html",
        title="Catalogue",
        range=range_,
        **{name: (found or {}).get("items", []) for name, found in named.items()},
        experiments=(experiments or {}).get("items", []),
        jobs=(jobs or {}).get("items", []),
    )
