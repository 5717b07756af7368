"""Tools of models: built-in ones, those of MCP servers, and the grants to use them."""

from spanledger.workflows.tool import Tool, ToolError
from spanledger.workflows.tools.builtin import BUILTIN
from spanledger.workflows.tools.grants import Grant, Grants, Verdict
from spanledger.workflows.tools.mcp_servers import McpServers
from spanledger.workflows.tools.toolbox import Servers, Toolbox

__all__ = ["BUILTIN", "Grant", "Grants", "McpServers", "Servers", "Tool", "ToolError", "Toolbox", "Verdict"]
