"""`/books/reconcile`: a provider's usage export beside the books."""

from typing import Annotated, Any

from fastapi import Form, UploadFile
from fastapi.responses import Response

from spanledger.web.api_client import ApiRefusal
from spanledger.web.page import Page, PageOf, page_router
from spanledger.web.pages.prices import text_of

router = page_router()


@router.get("/books/reconcile")
async def reconcile(page: PageOf) -> Response:
    return _shown(page)


@router.post("/books/reconcile")
async def upload(
    page: PageOf,
    csrf: Annotated[str, Form()] = "",
    content: Annotated[str, Form()] = "",
    tolerance: Annotated[str, Form()] = "",
    file: UploadFile | None = None,
) -> Response:
    """Reads the export; nothing of it is kept."""
    page.check_form(csrf)
    text = content.strip() or await text_of(file)
    name = file.filename if file is not None and file.filename else "export"
    body = {"content": text, "name": name[:256], "tolerance": tolerance.strip() or "0"}
    try:
        return _shown(page, report=await page.api.call("POST", "reconcile", body=body), name=name)
    except ApiRefusal as exc:
        return _shown(page, problem=str(exc))


def _shown(page: Page, report: Any = None, name: str = "", problem: str = "") -> Response:
    return page.render("reconcile.html", title="Reconcile", report=report, name=name, problem=problem)
