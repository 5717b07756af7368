"""A small MCP server over stdio, for the tour: `python -m spanledger.tour.mcp_clock`."""

import re
from datetime import date

from mcp.server.mcpserver import MCPServer

server = MCPServer("calendar")


@server.tool()
def weekday(day: str) -> str:
    """The weekday of the first date like 2026-11-21 in `day`."""
    found = re.search(r"\d{4}-\d\d-\d\d", day)
    return date.fromisoformat(found[0]).strftime("%A") if found else "there is no date"


if __name__ == "__main__":
    server.run()
