"""Answers that are sent piece by piece, each as soon as it is there, compressed where the browser takes that."""

import zlib
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from spanledger.api.encodings import accepts_gzip

_GZIP = 31  # zlib's number for a gzip head and foot
_LEVEL = 5


def compressed(pieces: AsyncIterator[str], accepted: str) -> StreamingResponse:
    """`accepted`: the request's Accept-Encoding. The application's own compression would hold the first piece back."""
    takes_gzip = accepts_gzip(accepted)

    async def body() -> AsyncIterator[bytes]:
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        async for piece in pieces:
            text = piece.encode()
            yield packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH) if takes_gzip else text
        if takes_gzip:
            yield packer.flush()

    headers = {"Content-Encoding": "gzip" if takes_gzip else "identity", "Vary": "Accept-Encoding"}
    return StreamingResponse(body(), media_type="text/html; charset=utf-8", headers=headers)
