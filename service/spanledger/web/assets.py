"""Styles and scripts of the console, under an address that changes with their content.

The version is a folder of the address, so a module that another one imports by a relative name has it too: a browser
keeps all of them, and asks for none of them again.
"""

import hashlib
from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
_KEEP, _ASK_AGAIN = "public, max-age=31536000, immutable", "no-cache"


@cache
def version() -> str:
    """Changes when a file of static/ does."""
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(FOLDER)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def asset(name: str) -> str:
    """The address of a file of static/."""
    return f"/static/{version()}/{name}"


class Assets(StaticFiles):
    """The files of static/, with the version in their address or without; only with it may a browser keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        of, _, name = path.partition("/")
        is_current = of == version()
        response = await super().get_response(name if is_current else path, scope)
        response.headers["Cache-Control"] = _KEEP if is_current else _ASK_AGAIN
        return response
