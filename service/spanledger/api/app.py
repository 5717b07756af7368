"""Puts the HTTP API together."""

import importlib
import importlib.util

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

import spanledger
from spanledger.access.hosts import Hosts
from spanledger.api import openapi, problems
from spanledger.api.auth import Authentication
from spanledger.api.correlation import Correlation, decode_path_ids
from spanledger.api.fairness import Turns
from spanledger.api.guard import Guard
from spanledger.api.parameters import refuse_unclear
from spanledger.runtime.operations import Operations
from spanledger.runtime.services import Services
from spanledger.settings import Settings
from spanledger.stats import tables

# Modules with a `router`, in the order of their routes, by the role that serves them; empty: any. One that is not
# installed is left out.
_ROUTERS = {
    "": ("health", "dead_letters", "documentation"),
    "chat": ("chat", "openai_compat", "openai_more", "jobs", "agents", "tools", "documents", "embeddings", "feedback"),
    "api": (
        "conversations",
        "usage",
        "lists",
        "explain",
        "export",
        "erasures",
        "prices",
        "traces",
        "books",
        "audit",
        "keys",
        "limits",
        "alerts",
        "audit_log",
        "events",
        "pages",
        "cache",
        "prompts",
        "experiments",
        "analysis",
        "behaviour",
    ),
}

# A stream of events must not wait for a compressor, and Parquet is compressed.
_NOT_COMPRESSED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, tables.MEDIA_TYPES["parquet"])


def create_app(services: Services) -> FastAPI:
    """The API over the given services, instrumented. It starts and stops none of them."""
    app = app_with_routes(services.settings)
    services.attach(app)
    return app


def app_with_routes(settings: Settings) -> FastAPI:
    """The API without services: enough for its OpenAPI document. `Services.attach` adds them."""
    app = FastAPI(
        title="Spanledger",
        version=spanledger.__version__,
        dependencies=[Depends(decode_path_ids), Depends(refuse_unclear)],
        middleware=[
            Middleware(Correlation),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5, exclude_content_types=_NOT_COMPRESSED),
            Middleware(Guard, hosts=Hosts(settings)),
            Middleware(Authentication),
            Middleware(Turns),
        ],
        generate_unique_id_function=openapi.operation_id,
        redirect_slashes=False,
        openapi_url=None,  # openapi.install
        docs_url=None,
        redoc_url=None,
    )
    app.state.operations = Operations()
    problems.install(app)
    openapi.install(app)
    names = [name for role, names in _ROUTERS.items() if not role or settings.plays(role) for name in names]
    for name in names:
        if importlib.util.find_spec(f"spanledger.api.{name}") is not None:
            router: APIRouter = importlib.import_module(f"spanledger.api.{name}").router
            app.include_router(router)
    return app
