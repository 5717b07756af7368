"""Calls the API from pages, inside this process and with the permissions of the visitor.

So a page shows only what the API answers to the same caller, with the same figures.
"""

import asyncio
import json
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from spanledger.errors import SpanledgerError
from spanledger.principal import LOCAL
from spanledger.telemetry import ids

Params = dict[str, Any]


class ApiRefusal(SpanledgerError):
    """The API refused: its problem, as it is."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail", "")))
        self.status = status
        self.title = str(problem.get("title", "Refused"))
        self.problem = problem


class Api:
    """The API for one request to a page."""

    def __init__(self, request: Request) -> None:
        self._app = request.app
        self._principal = getattr(request.state, "principal", LOCAL)
        self._host = request.headers.get("host", "127.0.0.1")

    async def get(self, *segments: str, params: Params | None = None) -> Any:
        """The parsed answer of GET /v1/segments…; floats as decimals with the API's digits. Raises ApiRefusal."""
        return await self.call("GET", *segments, params=params)

    async def maybe(self, *segments: str, params: Params | None = None) -> Any:
        """The same, None where the API has no such thing or does not show it to this caller."""
        try:
            return await self.get(*segments, params=params)
        except ApiRefusal as exc:
            if exc.status in {400, 403, 404, 422}:
                return None
            raise

    async def all(self, *calls: Awaitable[Any]) -> list[Any]:
        """The answers of several calls at the same time."""
        return list(await asyncio.gather(*calls))

    async def call(self, method: str, *segments: str, params: Params | None = None, body: Any = None) -> Any:
        """Raises ApiRefusal."""
        path = "/v1/" + "/".join(_escaped(segment) for segment in segments)
        response = await self.raw(method, path, params, body)
        answer = json.loads(response.content, parse_float=Decimal) if _is_json(response) else response.text
        if response.status_code >= 400:
            raise ApiRefusal(response.status_code, answer if isinstance(answer, dict) else {"detail": str(answer)})
        return answer

    async def raw(
        self, method: str, path: str, params: Params | None = None, body: Any = None, accept: str = "application/json"
    ) -> httpx.Response:
        """Any path of this process."""
        named: list[tuple[str, str | int | float | bool | None]] = [
            (name.rstrip("_"), str(one))
            for name, value in (params or {}).items()
            for one in (value if isinstance(value, list) else [value])
            if one not in (None, "")
        ]
        headers = {"Host": self._host, "Accept": accept, "X-Correlation-ID": ids.current().correlation_id or ""}
        transport = httpx.ASGITransport(app=self._as_caller, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://console", trust_env=False) as client:
            return await client.request(
                method, path, params=named, json=body, headers={name: text for name, text in headers.items() if text}
            )

    async def _as_caller(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"principal": self._principal}
        await self._app(scope, receive, send)


def _escaped(segment: str) -> str:
    """Dots alone would be taken out of the path."""
    return segment.replace(".", "%2E") if segment in (".", "..") else quote(segment, safe="")


def _is_json(response: httpx.Response) -> bool:
    return "json" in response.headers.get("content-type", "")
