"""How an MCP server is reached, as the registry keeps it (kind `mcp_server`)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

KIND: Final = "mcp_server"
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HIDDEN: Final = "***"
_FORBIDDEN: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade"})
_Text = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]


class McpServer(BaseModel):
    """Either a command, which is started here and spoken to over its stdin and stdout, or the URL of a server that
    speaks streamable HTTP."""

    model_config = ConfigDict(extra="forbid")

    command: _Text = ""
    args: Annotated[list[_Text], Field(max_length=100)] = []
    env: dict[Annotated[str, Field(pattern=r"^[^=\x00]+$", max_length=256)], _Text] = {}
    cwd: _Text = ""
    url: _Text = ""
    headers: dict[Annotated[str, Field(pattern=r"^[!-9;-~]+$", max_length=256)], _Text] = {}
    description: _Text = ""
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 30.0  # of one run of a tool
    connect_timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("give either command or url")
        if self.url:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("url must look like https://host/mcp")
            if parts.username or parts.password:
                raise ValueError("credentials belong into headers, not into the url")
            if not all(value.isascii() and value.isprintable() for value in self.headers.values()):
                raise ValueError("a header has one line of printable ASCII")
            if named := sorted({name.lower() for name in self.headers} & _FORBIDDEN):
                raise ValueError(f"the header {named[0]} follows from the url")
        return self


def shown(body: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without its secrets: values of the environment and of headers are hidden."""
    hidden = {name: dict.fromkeys(body.get(name) or {}, _HIDDEN) for name in ("env", "headers")}
    return {**body, **hidden}
