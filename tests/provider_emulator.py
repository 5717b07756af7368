"""A model provider that speaks OpenAI's API over real HTTP, for real clients; behaves as its models say.

Anthropic's, Gemini's and OpenAI's Responses API are served too, with whole answers (provider_formats.py). Models with
other names than these answer under their own name:


plain       answers; streams with usage if asked      no-usage    never reports usage
dear        says what it charges (usage.cost)          details     reports cached, reasoning and audio tokens
flaky       429 with Retry-After: 0, then answers      broken      500, always
refusing    401                                        strict      400
cut         closes the connection after three chunks   hangs       sends three chunks and waits until it is left
late-error  an error object inside the stream          silent      opens the stream and says nothing
"""

import json
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import provider_formats

WORDS = ("one ", "two ", "three ", "four ", "five.")
USAGE = {"prompt_tokens": 21, "completion_tokens": 5, "total_tokens": 26}
DETAILS = {
    "prompt_tokens": 2048,
    "completion_tokens": 300,
    "total_tokens": 2348,
    "prompt_tokens_details": {
        "cached_tokens": 1024,
        "audio_tokens": 16,
        "image_tokens": 32,
        "cache_write_tokens": 512,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 212, "ephemeral_1h_input_tokens": 300},
    },
    "completion_tokens_details": {"reasoning_tokens": 128, "audio_tokens": 8, "image_tokens": 4},
}
COST = 0.0123
BEHAVIOURS = frozenset(
    "plain no-usage dear details flaky broken refusing strict cut hangs late-error silent limited".split()
)


@dataclass
class Seen:
    """A request as it arrived."""

    headers: dict[str, str]
    body: dict[str, Any]
    model: str


@dataclass
class Emulator:
    """Use it as a context manager; `base_url` goes into OPENAI_BASE_URL."""

    seen: list[Seen] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)  # the client of a hanging stream went away

    def __enter__(self) -> Self:
        emulator = self

        class Handler(_Handler):
            owner = emulator

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.left.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def asked(self, model: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.model == model]


class _Handler(BaseHTTPRequestHandler):
    owner: Emulator
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = provider_formats.requested_model(self.path, body)
        repeated = bool(self.owner.asked(model))
        self.owner.seen.append(Seen({k.lower(): v for k, v in self.headers.items()}, body, model))
        if model == "flaky" and not repeated:
            self._json(429, {"error": {"message": "slow down", "type": "rate_limit"}}, {"Retry-After": "0"})
        elif model == "limited":
            self._json(429, {"error": {"message": "come back later", "type": "rate_limit"}}, {"Retry-After": "30"})
        elif model in {"broken", "refusing", "strict"}:
            status = {"broken": 500, "refusing": 401, "strict": 400}[model]
            self._json(status, {"error": {"message": f"{model} as asked, key sk-1234", "type": "server_error"}})
        elif other := provider_formats.answer(self.path, model, "".join(WORDS), *_counts(model)):
            self._json(200, other)
        elif body.get("stream"):
            self._stream(model, bool((body.get("stream_options") or {}).get("include_usage")))
        else:
            self._json(200, _completion(model))

    def _stream(self, model: str, wants_usage: bool) -> None:
        unique = _unique_id()  # one for all chunks
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        if model == "silent":
            self.wfile.flush()
            self._wait_until_left()
            return
        for number, word in enumerate(WORDS):
            if number == 3 and model == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if number == 3 and model == "hangs":
                self._wait_until_left()
                return
            if number == 3 and model == "late-error":
                self._event({"error": {"message": "overloaded", "type": "server_error", "code": 503}})
                self._chunk(b"")
                return
            self._event(_chunk(model, unique, [{"index": 0, "delta": {"role": "assistant", "content": word}}]))
        self._event(_chunk(model, unique, [{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        if wants_usage and model != "no-usage":
            self._event(_chunk(model, unique, []) | {"usage": _usage(model)})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _wait_until_left(self) -> None:
        """Until the client closes: its side then reads as the end."""
        self.connection.settimeout(30)
        self.connection.recv(1)
        self.close_connection = True
        self.owner.left.set()

    def _event(self, data: dict[str, Any]) -> None:
        self._chunk(b"data: " + json.dumps(data).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _json(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _usage(model: str) -> dict[str, Any]:
    return {"dear": USAGE | {"cost": COST}, "details": DETAILS}.get(model, USAGE)


def _counts(model: str) -> tuple[int, int]:
    usage = _usage(model)
    return usage["prompt_tokens"], usage["completion_tokens"]


def _unique_id() -> str:
    """As a provider's: two calls of one id within minutes would be one call told twice."""
    return f"chatcmpl-{uuid.uuid4().hex}"


def _chunk(model: str, unique: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": unique,
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": f"{model}-2026-01-01" if model in BEHAVIOURS else model,
        "choices": choices,
    }


def _completion(model: str) -> dict[str, Any]:
    body: dict[str, Any] = _chunk(model, _unique_id(), []) | {"object": "chat.completion"}
    message = {"role": "assistant", "content": "".join(WORDS)}
    body["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return body if model == "no-usage" else body | {"usage": _usage(model)}
