"""How many files this process may open, and how many connections that leaves room for."""

import resource
import socket

ACCEPTED_AT_ONCE = 32  # asyncio's `backlog`: so many connections are accepted before any of them can be closed
_QUEUE = 1024  # connections that wait in the kernel
WANTED = 8192  # the usual 1024 are fewer than the connections that are kept
_FEWEST = 64  # connections, however few files there are


def allow_many() -> None:
    """Raises the soft limit to WANTED, or as far as the hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < WANTED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (WANTED if hard < 0 else min(WANTED, hard), hard))


def connections(most: int, reserved: int) -> int:
    """`most`, or what the limit leaves beside the files that the process opens otherwise."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft < 0 else max(_FEWEST, min(most, soft - reserved))


def queue(listener: socket.socket) -> None:
    """A long queue in the kernel, which asyncio makes as short as what it accepts at once."""
    listener.listen(_QUEUE)
