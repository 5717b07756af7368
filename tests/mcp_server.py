"""A small MCP server of the official package, for the tests: over stdio, or over streamable HTTP on a port."""

import os
import sys
import time

from mcp.server.mcpserver import MCPServer

server = MCPServer("small")


@server.tool()
def add(a: int, b: int) -> str:
    """Adds two whole numbers."""
    return str(a + b)


@server.tool()
def hang(note: str) -> str:
    """Does not come back for a minute."""
    time.sleep(60)
    return note


@server.tool()
def fail(note: str) -> str:
    """Always fails."""
    raise ValueError(f"no: {note}")


@server.tool()
def crash(note: str) -> str:
    """Takes the whole server down."""
    os._exit(3)


@server.tool()
def huge(note: str) -> str:
    """Answers with a megabyte."""
    return "x" * 1_000_000


@server.tool()
def secret(note: str) -> str:
    """What the server was given in its environment."""
    return os.environ.get("SMALL_SECRET", "nothing")


@server.tool()
def process(note: str) -> str:
    """The number of the server's process."""
    return str(os.getpid())


if __name__ == "__main__":
    if sys.argv[1] == "http":
        server.run("streamable-http", port=int(sys.argv[2]))
    else:
        server.run("stdio")
