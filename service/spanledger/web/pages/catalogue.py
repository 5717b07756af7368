"""`/catalogue`: workflows, agents, tools, prompts, experiments and jobs, as the API knows them."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

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
        may_write=page.principal.role == "admin",
    )


@router.post("/catalogue/jobs/retry")
async def retry(page: PageOf, job_id: Annotated[str, Form()], csrf: Annotated[str, Form()] = "") -> Response:
    page.check_form(csrf)
    await page.api.call("POST", "jobs", job_id, "retry")
    return RedirectResponse("/catalogue#jobs", status_code=303)


@router.post("/catalogue/jobs/cancel")
async def cancel(page: PageOf, job_id: Annotated[str, Form()], csrf: Annotated[str, Form()] = "") -> Response:
    page.check_form(csrf)
    await page.api.call("DELETE", "jobs", job_id)
    return RedirectResponse("/catalogue#jobs", status_code=303)
