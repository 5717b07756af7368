"""Puts the console on top of the API."""

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from spanledger.api import app as api
from spanledger.runtime.services import Services
from spanledger.web.pages import ROUTERS
from spanledger.web.session import Session

STATIC = Path(__file__).parent / "static"


def create_app(services: Services) -> FastAPI:
    """The API, and the console where the settings want it."""
    app = api.create_app(services)
    if services.settings.console and services.settings.plays("api"):
        app.add_middleware(Session)
        app.mount("/static", _Assets(directory=STATIC), name="static")
        for router in ROUTERS:
            app.include_router(router, include_in_schema=False)
    return app


class _Assets(StaticFiles):
    """Files that pages name with their version, so that a browser may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        versioned = scope.get("query_string", b"").startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response
