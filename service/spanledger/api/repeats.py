"""`Idempotency-Key`: a repeated request with the same key gets the stored answer and causes no second run."""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import Response

from spanledger.api.reader import AppServices
from spanledger.errors import BadRequest
from spanledger.runtime.services import Caller

REPLAYED = "Idempotency-Replayed"
# Headers that are part of the request, like the body (openai_compat.order_of).
_ASKING = ("x-conversation-id", "x-session-id", "x-agent")
_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same request within 24 hours gets the same answer, without a second run.",
    ),
]


class Repeats:
    """Answers a request once."""

    def __init__(self, request: Request, services: AppServices, principal: Caller, key: _Key = None) -> None:
        self._request = request
        self._services = services  # a process that only chats keeps no answers
        self._tenant = principal.tenant
        self._key = key

    def refuse_stream(self, stream: bool) -> None:
        """Raises BadRequest: pieces are not kept."""
        if stream and self._key is not None:
            raise BadRequest("Idempotency-Key is for answers that are not streamed; leave one of both away")

    async def answer(self, work: Callable[[], Awaitable[tuple[Any, dict[str, str]]]]) -> Response:
        """What `work` returns (body and headers), now or at the first such request. Raises ReusedKey."""
        headers: dict[str, str] = {}

        async def run() -> bytes:
            body, more = await work()
            headers.update(more)
            return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

        if self._key is None:
            return Response(await run(), media_type="application/json", headers=headers)
        answers = self._services.platform.kept_answers
        kept = await answers.once(self._tenant, self._key, await self._fingerprint(), run)
        if kept.is_replay:
            headers[REPLAYED] = "true"
        return Response(kept.body, media_type="application/json", headers=headers)

    async def _fingerprint(self) -> bytes:
        """The request as bytes that are the same for the same request."""
        body = json.loads(await self._request.body())
        headers = {name: self._request.headers.get(name, "") for name in _ASKING}
        return json.dumps([self._request.url.path, headers, body], sort_keys=True).encode()


Once = Annotated[Repeats, Depends(Repeats)]
