"""A tool: its description for the model, and the function that runs."""

import functools
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from spanledger.errors import BadRequest
from spanledger.foreign import checks, process

MAX_ARGUMENT_CHARS: Final = 65_536
TIMEOUT_S: Final = 30.0  # of one run, by default
_MAX_WIRE_NAME: Final = 64


class ToolError(BadRequest):
    """The tool failed. The model gets the message and may try again. The message may quote arguments."""

    title = "Tool failed"
    error_type = "invalid_arguments"

    def __init__(self, message: str, error_type: str = "") -> None:
        super().__init__(message)
        self.error_type = error_type or type(self).error_type
        self.telemetry_text = f"the tool failed ({self.error_type})"


@dataclass(frozen=True)
class Tool:
    """`run` gets the arguments by name and returns text, at once or awaited; it raises ToolError.

    What blocks is run on a thread of its own. `attributes` go onto the span of every run.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]  # JSON schema of the arguments
    run: Callable[..., str | Awaitable[str]]
    source: str = "builtin"  # or the name of the server that has it
    kind: str = "function"  # gen_ai.tool.type
    timeout_s: float = TIMEOUT_S
    attributes: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def schema(self) -> dict[str, Any]:
        """As OpenAI's `tools` parameter wants it."""
        function = {"name": self.wire_name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}

    @functools.cached_property
    def wire_name(self) -> str:
        """The name as providers allow it: letters, digits, `_` and `-`, at most 64; `server.tool` is `server__tool`."""
        plain = re.sub(r"[^a-zA-Z0-9_-]", "_", self.name.replace(".", "__"))
        if plain == self.name.replace(".", "__") and len(plain) <= _MAX_WIRE_NAME:
            return plain
        return f"{plain[: _MAX_WIRE_NAME - 9]}_{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    async def arguments(self, text: str) -> dict[str, Any]:
        """The model's arguments, a JSON object, checked by the tool's schema. Raises ToolError."""
        given = self._object(text)
        job = {"kind": "validate", "schema": dict(self.parameters), "text": text or "{}", "patterns": False}
        try:
            # A schema of our own holds nothing up; another's is tried where it can be stopped. It is checked without
            # its regular expressions: the schema's owner checks the arguments again.
            reply = checks.answer(job) if self.source == "builtin" else await process.pool.arun(job)
        except (process.Hopeless, TypeError, ValueError, RecursionError) as exc:
            raise ToolError(f"the schema of {self.name} cannot be used", "invalid_schema") from exc
        if "error" not in reply:
            raise ToolError(f"the schema of {self.name} cannot be used", "invalid_schema")
        if reply["error"] is not None:
            raise ToolError(f"the arguments of {self.name} do not fit: {reply['error']}")
        return given

    def _object(self, text: str) -> dict[str, Any]:
        if len(text) > MAX_ARGUMENT_CHARS:
            raise ToolError(f"the arguments of {self.name} have more than {MAX_ARGUMENT_CHARS} characters")
        try:
            given = json.loads(text or "{}")
        except (ValueError, RecursionError) as exc:
            raise ToolError(f"the arguments of {self.name} are not JSON") from exc
        if not isinstance(given, dict):
            raise ToolError(f"the arguments of {self.name} must be a JSON object")
        return given
