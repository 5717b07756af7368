"""Adds the console to the application of the API."""

from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from spanledger.api import app as api
from spanledger.errors import NotFound
from spanledger.settings import Settings
from spanledger.web.assets import FOLDER, Assets
from spanledger.web.page import Page
from spanledger.web.pages import ROUTERS
from spanledger.web.session import Session


def app_with_pages(settings: Settings) -> FastAPI:
    """The API without services, and the console where the settings want it."""
    app = api.app_with_routes(settings)
    if settings.console and settings.plays("api"):
        app.add_middleware(Session)
        app.mount("/static", Assets(directory=FOLDER), name="static")
        for router in ROUTERS:
            app.include_router(router, include_in_schema=False)
        _show_unknown_paths(app)
    return app


def _show_unknown_paths(app: FastAPI) -> None:
    """Unknown paths: a browser gets a page, other clients the API's problem document."""
    as_problem = cast(Callable[[Request, Exception], Awaitable[Response]], app.exception_handlers[HTTPException])

    async def handle(request: Request, error: Exception) -> Response:
        if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/"):
            return Page(request).error(NotFound(f"there is no page {request.url.path[:200]}"))
        return await as_problem(request, error)

    app.add_exception_handler(404, handle)
