"""MCP servers that an admin of a tenant names: none in our network, and nothing is learnt about it."""

import asyncio
import socket
from collections.abc import Iterator

import httpx2
import pytest
from pydantic import ValidationError

from spanledger.workflows.tool import ToolError
from spanledger.workflows.tools.addresses import PrivateAddress, PublicOnly, is_public
from spanledger.workflows.tools.mcp_config import McpServer
from spanledger.workflows.tools.mcp_connection import McpConnection


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.0.0.1",
            "172.16.9.9",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("::1", "fe80::1", "fe80::1%1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "::"),
        *("64:ff9b::7f00:1", "64:ff9b::a00:1", "198.18.0.1", "192.0.2.1", "255.255.255.255", "240.0.0.1"),
    ],
)
def test_addresses_that_are_not_of_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
def test_no_spelling_of_our_machine_is_connected_to(listener: socket.socket, host: str) -> None:
    async def ask() -> None:
        async with httpx2.AsyncClient(transport=PublicOnly(), trust_env=False) as client:
            await client.get(f"http://{host}:{listener.getsockname()[1]}/mcp")

    with pytest.raises(PrivateAddress):
        asyncio.run(ask())
    with pytest.raises(BlockingIOError):  # nobody has come
        listener.accept()


def test_open_closed_and_unknown_look_the_same(listener: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = probe.getsockname()[1]
    urls = [f"http://127.0.0.1:{listener.getsockname()[1]}/", f"http://127.0.0.1:{closed}/", "http://no.such.invalid/"]

    async def said(url: str) -> str:
        connection = McpConnection("s", McpServer(url=url), public_only=True)
        with pytest.raises(ToolError) as caught:
            await connection.open()
        await connection.close()
        return str(caught.value)

    assert {asyncio.run(said(url)) for url in urls} == {"server s cannot be used: it cannot be reached"}


@pytest.mark.parametrize("name", ["Host", "host", "Content-Length", "Transfer-Encoding", "Connection"])
def test_headers_that_follow_from_the_url_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="follows from the url"):
        McpServer(url="https://mcp.example/", headers={name: "x"})
