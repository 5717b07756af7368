"""Model providers on the wire in three formats (OpenAI, Anthropic, Gemini), for load: what they serve is in `log`.

The model's name says how a call goes: `<behaviour>-<number>`. Each number is used by one message, so what the books
say of a message can be held against what was served for it.

plain     answers, with usage                     no-usage  answers, and never says what it used
dear      says what it charges too (OpenAI)        flaky     429 with Retry-After: 0 the first time, then answers
limited   429 with Retry-After: 60                 broken    500, always
mute      takes the request and never answers      cut       breaks the connection off after three pieces
hangs     sends three pieces and waits until its client goes away
withheld  says that the prompt was blocked, and nothing of usage (Gemini)
"""

import asyncio
import contextlib
import functools
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

WORDS = ("one ", "two ", "three ", "four ", "five.")
PIECES = 3  # before a stream breaks off


@dataclass
class Call:
    """One request as this side saw it. `whole`: the answer was sent to its end, usage included where it has any."""

    number: int  # among all, which makes the answer's id its own
    model: str
    provider: str
    stream: bool
    status: int = 0  # 0: never answered
    said_usage: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cost: str = ""
    whole: bool = False


@dataclass
class Providers:
    """Use it as a context manager; `environ` is what LiteLLM must be told."""

    log: list[Call] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(30)
        self._loop.close()

    @property
    def environ(self) -> dict[str, str]:
        base = f"http://127.0.0.1:{self._port}"
        return {
            "OPENAI_BASE_URL": f"{base}/openai",
            "OPENAI_API_KEY": "sk-test",
            "ANTHROPIC_API_BASE": f"{base}/anthropic",
            "ANTHROPIC_API_KEY": "sk-test",
            "GEMINI_API_BASE": f"{base}/gemini",
            "GEMINI_API_KEY": "sk-test",
        }

    def of(self, model: str) -> list[Call]:
        return [call for call in self.log if call.model == model]

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._done = asyncio.Event()
        app = web.Application()
        for path, speaks in (
            ("/openai/chat/completions", OpenAI()),
            ("/anthropic/v1/messages", Anthropic()),
            ("/gemini/{path:.*}", Gemini()),
        ):
            app.router.add_post(path, functools.partial(self._answer, speaks))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port: int = runner.addresses[0][1]
        ready.set()
        await self._done.wait()
        await runner.cleanup()

    async def _answer(self, speaks: "OpenAI | Anthropic | Gemini", request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model, stream = speaks.asked(request, body)
        behaviour, _, number = model.removeprefix("claude-").rpartition("-")
        call = Call(
            len(self.log),
            model,
            speaks.name,
            stream,
            input_tokens=20 + int(number) % 50,
            output_tokens=5 + int(number) % 7,
        )
        call.said_usage = behaviour != "no-usage"
        call.cost = "0.00125" if behaviour == "dear" else ""
        before = len(self.of(model))
        self.log.append(call)
        if behaviour == "mute":
            await self._done.wait()
        if behaviour == "broken" or behaviour == "limited" or (behaviour == "flaky" and before == 0):
            call.status = 500 if behaviour == "broken" else 429
            wait = {"flaky": {"Retry-After": "0"}, "limited": {"Retry-After": "60"}}.get(behaviour, {})
            return web.json_response(speaks.error(call.status), status=call.status, headers=wait)
        call.status = 200
        if not stream:
            call.whole = True
            return web.json_response(speaks.whole(call))
        return await self._stream(request, speaks, call, behaviour)

    async def _stream(
        self, request: web.Request, speaks: "OpenAI | Anthropic | Gemini", call: Call, behaviour: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            async for piece in speaks.pieces(call, broken_off=behaviour in {"cut", "hangs"}):
                await response.write(piece)
            if behaviour == "hangs":
                await self._done.wait()  # or until its client goes away, which cancels this
            elif behaviour == "cut" and request.transport is not None:
                request.transport.abort()
            else:
                call.whole = True
                await response.write_eof()
        return response


class OpenAI:
    name = "openai"

    def asked(self, request: web.Request, body: dict[str, Any]) -> tuple[str, bool]:
        return body["model"], bool(body.get("stream"))

    def error(self, status: int) -> dict[str, Any]:
        return {"error": {"message": f"status {status} as asked", "type": "server_error"}}

    def whole(self, call: Call) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}
        body = {
            "id": f"chatcmpl-{call.number}",
            "object": "chat.completion",
            "created": 1,
            "model": call.model,
            "choices": [choice],
        }
        return body | ({"usage": self._usage(call)} if call.said_usage else {})

    async def pieces(self, call: Call, broken_off: bool) -> AsyncIterator[bytes]:
        head = {"id": f"chatcmpl-{call.number}", "object": "chat.completion.chunk", "created": 1, "model": call.model}
        for word in WORDS[: PIECES if broken_off else None]:
            delta = {"role": "assistant", "content": word}
            yield _data(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if not broken_off:
            yield _data(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            if call.said_usage:
                yield _data(head | {"choices": [], "usage": self._usage(call)})
            yield b"data: [DONE]\n\n"

    def _usage(self, call: Call) -> dict[str, Any]:
        used = {"prompt_tokens": call.input_tokens, "completion_tokens": call.output_tokens}
        used["total_tokens"] = call.input_tokens + call.output_tokens
        return used | ({"cost": float(call.cost)} if call.cost else {})


class Anthropic:
    name = "anthropic"

    def asked(self, request: web.Request, body: dict[str, Any]) -> tuple[str, bool]:
        return body["model"], bool(body.get("stream"))

    def error(self, status: int) -> dict[str, Any]:
        return {"type": "error", "error": {"type": "api_error", "message": f"status {status} as asked"}}

    def whole(self, call: Call) -> dict[str, Any]:
        used = {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
        usage = {"usage": used} if call.said_usage else {}
        return self._message(call) | {
            "content": [{"type": "text", "text": "".join(WORDS)}],
            "stop_reason": "end_turn",
            **usage,
        }

    async def pieces(self, call: Call, broken_off: bool) -> AsyncIterator[bytes]:
        began = {"usage": {"input_tokens": call.input_tokens, "output_tokens": 0}} if call.said_usage else {}
        yield _event("message_start", {"message": self._message(call) | began})
        yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        for word in WORDS[: PIECES if broken_off else None]:
            yield _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": word}})
        if not broken_off:
            yield _event("content_block_stop", {"index": 0})
            used = {"usage": {"output_tokens": call.output_tokens}} if call.said_usage else {}
            yield _event("message_delta", {"delta": {"stop_reason": "end_turn"}, **used})
            yield _event("message_stop", {})

    def _message(self, call: Call) -> dict[str, Any]:
        return {
            "id": f"msg_{call.number}",
            "type": "message",
            "role": "assistant",
            "model": call.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }


class Gemini:
    name = "gemini"

    def asked(self, request: web.Request, body: dict[str, Any]) -> tuple[str, bool]:
        model, _, method = request.path.rpartition("/")[2].partition(":")
        return model, method.startswith("stream")

    def error(self, status: int) -> dict[str, Any]:
        return {"error": {"code": status, "message": f"status {status} as asked", "status": "UNAVAILABLE"}}

    def whole(self, call: Call) -> dict[str, Any]:
        if call.model.startswith("withheld"):
            return {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": call.model}
        return self._piece(call, "".join(WORDS), "STOP")

    async def pieces(self, call: Call, broken_off: bool) -> AsyncIterator[bytes]:
        for word in WORDS[: PIECES if broken_off else -1]:
            yield _data(self._piece(call, word, "", usage=False))
        if not broken_off:
            yield _data(self._piece(call, WORDS[-1], "STOP"))

    def _piece(self, call: Call, text: str, reason: str, usage: bool = True) -> dict[str, Any]:
        candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
        if reason:
            candidate["finishReason"] = reason
        used = {
            "promptTokenCount": call.input_tokens,
            "candidatesTokenCount": call.output_tokens,
            "totalTokenCount": call.input_tokens + call.output_tokens,
        }
        body = {"candidates": [candidate], "modelVersion": call.model, "responseId": f"resp-{call.number}"}
        return body | ({"usageMetadata": used} if usage and call.said_usage else {})


def _data(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _event(kind: str, body: dict[str, Any]) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **body})
