"""A tool: what the model is told of it, and what runs when the model asks for it."""

import functools
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema
import referencing
import referencing.exceptions
from jsonschema.protocols import Validator

from spanledger.errors import BadRequest

MAX_ARGUMENT_CHARS: Final = 65_536
TIMEOUT_S: Final = 30.0  # of one run, where nobody said otherwise
_MAX_WIRE_NAME: Final = 64
_MAX_REASON: Final = 300


class ToolError(BadRequest):
    """The tool did not do what was asked; the model is told so and may try again."""

    title = "Tool failed"
    error_type = "invalid_arguments"

    def __init__(self, message: str, error_type: str = "") -> None:
        super().__init__(message)
        self.error_type = error_type or type(self).error_type


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

    def arguments(self, text: str) -> dict[str, Any]:
        """The model's arguments, a JSON object, checked by the tool's schema. Raises ToolError."""
        if len(text) > MAX_ARGUMENT_CHARS:
            raise ToolError(f"the arguments of {self.name} have more than {MAX_ARGUMENT_CHARS} characters")
        try:
            given = json.loads(text or "{}")
        except (ValueError, RecursionError) as exc:
            raise ToolError(f"the arguments of {self.name} are not JSON") from exc
        if not isinstance(given, dict):
            raise ToolError(f"the arguments of {self.name} must be a JSON object")
        try:
            error = jsonschema.exceptions.best_match(self._validator.iter_errors(given))
        except (RecursionError, referencing.exceptions.Unresolvable, TypeError, ValueError, AttributeError) as exc:
            raise ToolError(f"the schema of {self.name} cannot be used", "invalid_schema") from exc
        if error is not None:
            raise ToolError(f"the arguments of {self.name} do not fit: {_told(error)}")
        return given

    @functools.cached_property
    def _validator(self) -> Validator:
        # With a registry of its own nothing is fetched: a schema from elsewhere may refer to any address.
        found: Validator = _checker()(dict(self.parameters), registry=referencing.Registry())
        return found


@functools.cache
def _checker() -> Any:
    """JSON schema without its regular expressions: a foreign schema could make one run for ever, and whoever owns the
    schema checks the arguments again."""
    extend: Any = jsonschema.validators.extend
    return extend(jsonschema.Draft202012Validator, {"pattern": None, "patternProperties": None, "propertyNames": None})


def _told(error: jsonschema.exceptions.ValidationError) -> str:
    where = "".join(f".{part}" for part in error.absolute_path).lstrip(".")
    return f"{where}: {error.message}"[:_MAX_REASON] if where else error.message[:_MAX_REASON]
