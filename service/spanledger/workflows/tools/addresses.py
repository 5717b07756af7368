"""Where MCP servers that a tenant's admin named may be: on the internet, not in our network.

A name is resolved once for each request, all of its addresses are looked at, and the connection goes to one of those:
a name that resolves differently a moment later (DNS rebinding) changes nothing.
"""

import asyncio
import ipaddress
import socket

import httpx2


class PrivateAddress(OSError):
    """The server is not on the internet."""


def is_public(text: str) -> bool:
    """Whether an address is one of the internet: neither private, loopback, link-local, shared, multicast, reserved nor
    one that carries such an address within it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class PublicOnly(httpx2.AsyncHTTPTransport):
    """Connects to public addresses alone. Raises PrivateAddress, and OSError for a name that is none."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        address = await resolved(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        pinned = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,  # Host still names the server
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await super().handle_async_request(pinned)


async def resolved(host: str, port: int) -> str:
    """A public address of a host whose addresses all are public."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(map(is_public, addresses)):
        raise PrivateAddress(f"{host} is not on the internet")
    return addresses[0]
