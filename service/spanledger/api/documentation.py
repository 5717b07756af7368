"""`/docs`: the API's description for people. Everything it needs is served from this installation."""

import asyncio
import gzip
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, Response

from spanledger.api.encodings import accepts_gzip
from spanledger.errors import NotFound

router = APIRouter(include_in_schema=False)
ASSETS = Path(__file__).parent / "docs_assets"
_MEDIA_TYPES = {
    "swagger-ui-bundle.js": "text/javascript",
    "initializer.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@router.get("/docs")
async def get_docs() -> Response:
    """The page."""
    return FileResponse(ASSETS / "index.html", media_type="text/html; charset=utf-8", headers=_HEADERS)


@router.get("/docs/{asset}")
async def get_docs_asset(
    asset: Annotated[str, PathParameter(max_length=100)], accept_encoding: Annotated[str, Header()] = ""
) -> Response:
    """What the page loads."""
    if asset not in _MEDIA_TYPES:
        raise NotFound(f"there is no /docs/{asset[:100]}")
    packed = ASSETS / f"{asset}.gz"
    if not packed.exists():
        return FileResponse(ASSETS / asset, media_type=_MEDIA_TYPES[asset], headers=_HEADERS)
    if accepts_gzip(accept_encoding):
        headers = {**_HEADERS, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return FileResponse(packed, media_type=_MEDIA_TYPES[asset], headers=headers)
    headers = {**_HEADERS, "Content-Encoding": "identity", "Vary": "Accept-Encoding"}
    text = await asyncio.to_thread(lambda: gzip.decompress(packed.read_bytes()))
    return Response(text, media_type=_MEDIA_TYPES[asset], headers=headers)
