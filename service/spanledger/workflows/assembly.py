"""Puts the chunks of a streamed answer together, whole or broken off, and makes chunks of a whole answer."""

from collections.abc import Iterable, Iterator
from typing import Any

from spanledger.workflows.model import Chunk

_HEAD = ("id", "created", "model", "system_fingerprint", "service_tier")
_TEXTS = ("content", "reasoning_content", "refusal")


def assembled(chunks: Iterable[Chunk]) -> dict[str, Any]:
    """The `chat.completion` that the chunks amount to, with every choice; without usage."""
    body: dict[str, Any] = {"object": "chat.completion"}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        body |= {name: chunk[name] for name in _HEAD if chunk.get(name)}
        for piece in chunk.get("choices") or ():
            index = piece.get("index") or 0
            choice = choices.setdefault(index, {"index": index, "message": {"role": "assistant", "content": None}})
            _add(choice["message"], piece.get("delta") or {})
            if piece.get("finish_reason"):
                choice["finish_reason"] = piece["finish_reason"]
    body["choices"] = [choices[index] for index in sorted(choices)]
    return body


def replayed(body: dict[str, Any]) -> Iterator[Chunk]:
    """A `chat.completion` as a stream: each choice in one piece, then why it ended."""
    head = {name: body[name] for name in _HEAD if body.get(name)} | {"object": "chat.completion.chunk"}
    for choice in body.get("choices") or ():
        index, delta = choice.get("index") or 0, dict(choice.get("message") or {})
        if delta.get("tool_calls"):
            delta["tool_calls"] = [{**call, "index": i} for i, call in enumerate(delta["tool_calls"])]
        yield {**head, "choices": [{"index": index, "delta": delta}]}
        yield {**head, "choices": [{"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")}]}


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name in _TEXTS:
        if delta.get(name):
            message[name] = (message.get(name) or "") + delta[name]
    for piece in delta.get("tool_calls") or ():
        _add_call(message.setdefault("tool_calls", []), piece)


def _add_call(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """A tool call comes in pieces that share its index: the first names it, all may add to the arguments."""
    index = piece.get("index")
    call = next((c for c in calls if c["index"] == index), None) if index is not None else None
    if call is None:
        call = {"index": index if index is not None else len(calls), "id": "", "type": "function", "function": {}}
        calls.append(call)
    call["id"] = piece.get("id") or call["id"]
    function, delta = call["function"], piece.get("function") or {}
    function["name"] = function.get("name") or delta.get("name") or ""
    function["arguments"] = (function.get("arguments") or "") + (delta.get("arguments") or "")
