"""`/erasures`: erase a user, a conversation or a trace, with a confirmation; what each erasure did."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from spanledger.errors import BadRequest
from spanledger.web.page import Page, PageOf, link, page_router, path_of

router = page_router()

KINDS = ("user", "conversation", "trace")
SCOPES = {
    "content": "Texts are deleted: prompts, answers, attributes that do not count for figures. Ids and figures stay.",
    "identity": "A pseudonym replaces the id wherever it stands. Other texts and figures stay.",
    "everything": "Spans, logs, messages and figures are deleted. Counter-entries bring the figures to zero.",
}


@router.get("/erasures")
async def erasures(page: PageOf) -> Response:
    """All erasures of the tenant; with `user=`, `conversation=` or `trace=` also the form that erases it."""
    chosen = next(((kind, page.query[kind]) for kind in KINDS if page.query.get(kind)), ("", ""))
    return await _page(page, *chosen)


@router.post("/erasures")
async def create(
    page: PageOf,
    kind: Annotated[str, Form()],
    identity: Annotated[str, Form()],
    scope: Annotated[str, Form()] = "",
    typed: Annotated[str, Form()] = "",
    csrf: Annotated[str, Form()] = "",
) -> Response:
    page.check_form(csrf)
    if kind not in KINDS:
        raise BadRequest(f"kind is one of {', '.join(KINDS)}")
    if scope not in SCOPES:
        return await _page(page, kind, identity, typed=typed, problem="Choose what is erased.")
    if typed.strip() != identity:
        problem = f"Nothing was erased: the id that was typed is not the id of this {kind}."
        return await _page(page, kind, identity, scope, typed, problem)
    begun = await page.api.call("POST", "erasures", body={f"{kind}_id": identity, "scope": scope})
    return RedirectResponse(path_of("erasures", begun["erasure_id"]), status_code=303)


@router.get("/erasures/{erasure_id}")
async def erasure(page: PageOf, erasure_id: str) -> Response:
    one = await page.api.get("erasures", erasure_id)
    return page.render("erasure_state.html" if page.is_fragment else "erasure.html", title="Erasure", one=one)


@router.post("/erasures/{erasure_id}/lift")
async def lift(page: PageOf, erasure_id: str, csrf: Annotated[str, Form()] = "") -> Response:
    page.check_form(csrf)
    await page.api.call("DELETE", "erasures", erasure_id)
    return RedirectResponse(link("/erasures", lifted=erasure_id), status_code=303)


async def _page(page: Page, kind: str, identity: str, scope: str = "", typed: str = "", problem: str = "") -> Response:
    known = await page.api.get("erasures")
    return page.render(
        "erasures.html",
        status=400 if problem else 200,
        title="Erasures",
        kind=kind,
        identity=identity,
        scope=scope,
        typed=typed,
        problem=problem,
        scopes=SCOPES,
        items=known["items"],
        lifted=page.query.get("lifted", ""),
    )
