"""`POST /v1/embeddings`: OpenAI-compatible; every token is counted in the books."""

import base64
from array import array
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from spanledger.api import openai_shapes, rates
from spanledger.api.inputs import Id, Model, Text
from spanledger.api.names import Parts
from spanledger.api.openai_compat import order_of
from spanledger.api.reader import AppServices
from spanledger.api.repeats import Once
from spanledger.api.schemas.common import Problem
from spanledger.api.schemas.documents import Embeddings
from spanledger.errors import BadRequest
from spanledger.runtime.services import Caller
from spanledger.workflows import Order

MAX_TEXTS = 2048
router = APIRouter(tags=["embeddings"])

_Token = Annotated[int, Field(ge=0, le=2**31 - 1)]
# Only the first wrong one is reported: errors for 300,000 would block the event loop.
_Tokens = Annotated[list[_Token], Field(min_length=1, fail_fast=True)]
_Said = Annotated[Text, Field(min_length=1)]


class EmbeddingsRequest(openai_shapes.Asked):
    """Texts, or texts as the model's own tokens."""

    model_config = ConfigDict(extra="forbid")

    input: (
        _Said
        | Annotated[list[_Said], Field(min_length=1, max_length=MAX_TEXTS, fail_fast=True)]
        | _Tokens
        | Annotated[list[_Tokens], Field(min_length=1, max_length=MAX_TEXTS, fail_fast=True)]
    )
    model: Model | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = None
    user: Id | None = None

    def texts(self) -> list[str | list[int]]:
        given: Any = self.input
        return [given] if isinstance(given, str) or isinstance(given[0], int) else list(given)


@router.post("/v1/embeddings", response_model=Embeddings, responses={402: {"model": Problem}, 404: {"model": Problem}})
async def create_embeddings(
    request: Request, payload: EmbeddingsRequest, services: AppServices, parts: Parts, principal: Caller, repeats: Once
) -> Response:
    """A vector per text."""
    texts = payload.texts()
    if any(not text.strip() for text in texts if isinstance(text, str)):
        raise BadRequest("input: an empty text has no meaning to embed")
    model = payload.model or services.settings.embedding_model
    parameters = {"dimensions": payload.dimensions} if payload.dimensions else {}
    named = order_of(request.headers, None, payload.user, None, principal)
    order = Order(
        principal=principal, conversation_id=named.conversation_id, user_id=named.user_id, model=model
    )  # no agent embeds

    async def answer() -> tuple[Any, dict[str, str]]:
        async with services.runner.admitted(order) as run:
            embedded = await parts.embedder.embed(run, texts, model, parameters)
        data = [
            {"object": "embedding", "index": index, "embedding": _encoded(vector, payload.encoding_format)}
            for index, vector in enumerate(embedded.vectors)
        ]
        used = {"prompt_tokens": embedded.input_tokens, "total_tokens": embedded.input_tokens}
        result = {"object": "list", "data": data, "model": embedded.model, "usage": used}
        return result, rates.headers(services, order)

    return await repeats.answer(answer)


def _encoded(vector: list[float], encoding: str) -> list[float] | str:
    """OpenAI's own clients ask for base64 of little-endian floats."""
    return vector if encoding == "float" else base64.b64encode(array("f", vector).tobytes()).decode()
