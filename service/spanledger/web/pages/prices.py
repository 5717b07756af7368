"""`/books/prices`: what other prices would change, by model, user, tenant and day; then posted, or taken back."""

from typing import Annotated, Any

from fastapi import Form, UploadFile
from fastapi.responses import RedirectResponse, Response

from spanledger.errors import BadRequest
from spanledger.web.api_client import ApiRefusal
from spanledger.web.page import Page, PageOf, link, page_router
from spanledger.web.ranges import range_of

router = page_router()

_GROUPINGS = {"model": ("provider", "model"), "user": ("tenant", "user"), "tenant": ("tenant",), "day": ("day",)}
_MOST_BYTES = 4 * 1024 * 1024
Field = Annotated[str, Form()]


@router.get("/books/prices")
async def prices(page: PageOf) -> Response:
    range_ = range_of(page.query, "30d")
    found = await page.api.get("prices", params={"used": "true", "q": page.query.get("model"), "limit": 200})
    return _form(
        page,
        {"start": range_.window.get("from", ""), "end": range_.window.get("to", ""), "price_book": ""},
        known=found,
    )


@router.get("/books/prices/preview")
async def preview_again() -> Response:
    """Where somebody opens the address of a preview, which has no form with it."""
    return RedirectResponse("/books/prices", status_code=303)


@router.post("/books/prices/preview")
async def preview(
    page: PageOf, start: Field = "", end: Field = "", book: Field = "", csrf: Field = "", file: UploadFile | None = None
) -> Response:
    """Posts nothing. The answer repeats the form's values, so that exactly what was shown can be posted."""
    page.check_form(csrf)
    given = {"start": start.strip(), "end": end.strip(), "price_book": book.strip() or await text_of(file)}
    try:
        changed = await page.api.call("POST", "reprice", body=_wish(given) | {"dry_run": True})
    except ApiRefusal as exc:
        return _form(page, given, problem=str(exc))
    return _form(page, given, changed=changed)


@router.post("/books/prices")
async def post(page: PageOf, start: Field, end: Field, book: Field = "", csrf: Field = "") -> Response:
    page.check_form(csrf)
    wish = _wish({"start": start, "end": end, "price_book": book})
    done = await page.api.call("POST", "reprice", body=wish)
    return RedirectResponse(link("/books", repriced=done["reprice_id"]) + "#prices", status_code=303)


@router.post("/books/prices/undo")
async def undo(page: PageOf, reprice_id: Field, csrf: Field = "") -> Response:
    page.check_form(csrf)
    await page.api.call("POST", "reprice", body={"undo": reprice_id})
    return RedirectResponse(link("/books", undone=reprice_id) + "#prices", status_code=303)


async def text_of(file: UploadFile | None) -> str:
    """The text of a file that was chosen in a form; empty without one. Raises BadRequest."""
    raw = await file.read(_MOST_BYTES + 1) if file is not None else b""
    if len(raw) > _MOST_BYTES:
        raise BadRequest(f"the file has more than {_MOST_BYTES // 1024**2} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadRequest("the file is not a text in UTF-8") from exc


def _wish(given: dict[str, str]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value}


def _form(page: Page, given: dict[str, str], **shown: Any) -> Response:
    context = {"known": None, "changed": None, "problem": "", **shown}
    return page.render("prices.html", title="Prices", given=given, groupings=_GROUPINGS, **context)
