"""Feedback on a message, from the pages that show it."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Form
from fastapi.responses import RedirectResponse, Response

from spanledger.web.page import PageOf, page_router

router = page_router()

_PAGES = ("conversations", "traces")


@router.post("/feedback")
async def give(
    page: PageOf,
    message_id: Annotated[str, Form()],
    rating: Annotated[int, Form()],
    kind: Annotated[str, Form()],
    identity: Annotated[str, Form()],
    comment: Annotated[str, Form()] = "",
    csrf: Annotated[str, Form()] = "",
) -> Response:
    """Back to the page of `kind` and `identity`, which says that it was taken."""
    page.check_form(csrf)
    body: dict[str, Any] = {"rating": rating, "comment": comment}
    await page.api.call("POST", "messages", message_id, "feedback", body=body)
    here = f"/{kind}/{quote(identity, safe='')}" if kind in _PAGES else "/messages"
    return RedirectResponse(f"{here}?rated={quote(message_id, safe='')}", status_code=303)
