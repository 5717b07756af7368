"""Talks to a running `spanledger up` over its HTTP API. Light: the standard library only."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from spanledger.access import operator
from spanledger.errors import BadRequest, NotFound, Refused, SpanledgerError, StoreBusy, StoreError, TooLarge
from spanledger.store.running import running_instance

_ERRORS: dict[int, type[SpanledgerError]] = {
    400: BadRequest,
    401: Refused,
    403: Refused,
    404: NotFound,
    413: TooLarge,
    422: BadRequest,
}
_PIECE = 1 << 20
_TIMEOUT_S = 600.0  # an audit of much history takes its time


class Api:
    """The API at `url`. Answers are parsed JSON; a problem becomes the error of the same meaning."""

    def __init__(self, url: str, otlp_url: str = "", token: str = "", correlation_id: str = "") -> None:
        self.url = url
        self.otlp_url = otlp_url
        self.token = token
        self.correlation_id = correlation_id  # of every request, if any

    def get(self, path: str, *segments: str, **params: Any) -> Any:
        """GET `path` + segments (escaped), with the params that are not None (`from_` is `from`)."""
        named = {name.rstrip("_"): value for name, value in params.items() if value is not None}
        target = "/".join([path, *(quote(segment, safe="") for segment in segments)])
        return json.loads(self.send("GET", target + (f"?{urlencode(named)}" if named else "")))

    def post(self, path: str, body: Any) -> Any:
        """POST a JSON body."""
        return json.loads(self.send("POST", path, json.dumps(body).encode()))

    def stream(self, target: str) -> Iterator[bytes]:
        """The body of GET `target` in pieces as they come; raises StoreError where it breaks off."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _ERRORS.get(response.status, StoreError)(_detail(response.status, response.read()))
            while piece := response.read1(_PIECE):
                yield piece
        except (OSError, http.client.HTTPException) as exc:
            raise StoreError(f"the running spanledger at {self.url} broke off: {exc or type(exc).__name__}") from exc
        finally:
            connection.close()

    def send(
        self, method: str, target: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> bytes:
        """The body of a successful answer."""
        status, answer = exchange(self.url, method, target, body, content_type, self.token, self.correlation_id)
        if status >= 400:
            raise _ERRORS.get(status, StoreError)(_detail(status, answer))
        return answer


def exchange(
    url: str,
    method: str,
    target: str,
    body: bytes | None,
    content_type: str,
    token: str = "",
    correlation_id: str = "",
) -> tuple[int, bytes]:
    """One request; status and body of the answer. Raises StoreError if there is no answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_TIMEOUT_S)
    headers = {"Content-Type": content_type} | ({"Authorization": f"Bearer {token}"} if token else {})
    headers |= {"X-Correlation-ID": correlation_id} if correlation_id else {}
    try:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise StoreError(f"the running spanledger at {url} does not answer: {exc or type(exc).__name__}") from exc
    finally:
        connection.close()


def running_api_of(data_dir: Path) -> Api | None:
    """The API of the `up` that runs on a data folder, None when none runs. Raises StoreBusy if its API is off."""
    info = running_instance(data_dir)
    if info is None:
        return None
    if not info.get("api_url"):
        raise StoreBusy(
            f"process {info.get('pid')} runs on {data_dir} without an HTTP API; start it with --port, or stop it first"
        )
    return Api(info["api_url"], info.get("otlp_http_url", ""), operator.read(data_dir))


def _detail(status: int, answer: bytes) -> str:
    try:
        problem = json.loads(answer)
        return str(problem.get("detail") or problem["title"])
    except (ValueError, KeyError, AttributeError):
        return f"the running spanledger answered {status}"
