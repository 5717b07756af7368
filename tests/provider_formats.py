"""Answers in the words of other APIs than chat completions, each with `USAGE` of the emulator: what one call used.

Anthropic's Messages, OpenAI's Responses and Gemini's generateContent; whole answers, no streams.
"""

import re
import time
import uuid
from typing import Any

_GEMINI = re.compile(r"/models/(?P<model>[^/:]+):generateContent$")


def requested_model(path: str, body: dict[str, Any]) -> str:
    """From the body, or from the path as Gemini has it."""
    found = _GEMINI.search(path.split("?")[0])
    return found["model"] if found else str(body.get("model", ""))


def answer(path: str, model: str, text: str, input_tokens: int, output_tokens: int) -> dict[str, Any] | None:
    """The body of an answer, or None where the path is of none of these APIs."""
    path = path.split("?")[0]
    if path.endswith("/messages"):
        return _anthropic(model, text, input_tokens, output_tokens)
    if path.endswith("/responses"):
        return _responses(model, text, input_tokens, output_tokens)
    if _GEMINI.search(path):
        return _gemini(model, text, input_tokens, output_tokens)
    return None


def _anthropic(model: str, text: str, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
    }


def _responses(model: str, text: str, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    unique = uuid.uuid4().hex
    message = {
        "id": f"msg_{unique}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    return {
        "id": f"resp_{unique}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": model,
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input_tokens + output_tokens,
        },
    }


def _gemini(model: str, text: str, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "responseId": f"gemini-{uuid.uuid4().hex}",
        "modelVersion": model,
        "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": text}]}}],
        "usageMetadata": {
            "promptTokenCount": input_tokens,
            "candidatesTokenCount": output_tokens,
            "totalTokenCount": input_tokens + output_tokens,
        },
    }
