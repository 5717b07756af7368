"""`/catalogue`: workflows, agents, tools, prompts, experiments and jobs, as the API lists them."""

from typing import Annotated, Any

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from spanledger.web.page import PageOf, page_router
from spanledger.web.ranges import range_of

router = page_router()

_AGENTS = 50
_ALL = {"limit": 1_000}
_MEASURES = (
    ("cost_per_run_usd", "Cost per run, USD"),
    ("latency_ms", "Duration of a run"),
    ("tokens_per_run", "Tokens per run"),
    ("failed_users", "Users with a failed run"),
    ("feedback", "Rating, 0 to 1"),
)


@router.get("/catalogue")
async def catalogue(page: PageOf) -> Response:
    range_ = range_of(page.query, "7d")
    workflows, agents, used, tools, prompts, experiments, evaluators, jobs = await page.api.all(
        page.api.maybe("behaviour", "workflows", params=range_.window),
        page.api.maybe("agents", params=_ALL),
        page.api.get("usage", params={**range_.window, "group_by": "agent", "limit": _AGENTS}),
        page.api.maybe("tools"),
        page.api.maybe("prompts", params=_ALL),
        page.api.maybe("experiments", params=_ALL),
        page.api.maybe("evaluators", params=_ALL),
        page.api.maybe("jobs", params={"limit": 20}),
    )
    named = {"workflows": workflows, "tools": tools, "prompts": prompts}
    named |= {"experiments": experiments, "evaluators": evaluators, "jobs": jobs}
    return page.render(
        "catalogue.html",
        title="Catalogue",
        range=range_,
        **{name: (found or {}).get("items", []) for name, found in named.items()},
        agents=_agents((agents or {}).get("items", []), used["groups"]),
        may_write=page.principal.role == "admin",
    )


@router.get("/catalogue/agents/{name}")
async def agent(page: PageOf, name: str) -> Response:
    range_ = range_of(page.query, "30d")
    known, performance, decisions = await page.api.all(
        page.api.maybe("agents", name),
        page.api.get("agents", name, "performance", params=range_.window),
        page.api.maybe("agents", name, "decisions", params={**range_.window, "limit": 20}),
    )
    return page.render(
        "agent.html",
        title=f"Agent {name[:40]}",
        name=name,
        range=range_,
        known=known,
        found=performance,
        decisions=(decisions or {}).get("items", []),
    )


@router.get("/catalogue/experiments/{name}")
async def experiment(page: PageOf, name: str) -> Response:
    range_ = range_of(page.query, "all")
    known, results = await page.api.all(
        page.api.get("experiments", name),
        page.api.get("experiments", name, "results", params=range_.window),
    )
    return page.render(
        "experiment.html",
        title=f"Experiment {name[:40]}",
        name=name,
        range=range_,
        known=known,
        found=results,
        measures=_MEASURES,
    )


def _agents(defined: list[dict[str, Any]], used: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Agents that are defined here, and those of other applications that made calls."""
    known = {one["name"]: one for one in defined}
    usage = {group["agent"]: group["usage"] for group in used if group["agent"]}
    names = [*usage, *(name for name in known if name not in usage)]
    return [{"name": name, "known": known.get(name), "usage": usage.get(name)} for name in names]


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
