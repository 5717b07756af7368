"""SIGTERM and SIGINT: they end the process within its drain, whatever its event loop and its threads do.

The interpreter's own handlers run on the main thread, between two of its instructions: a stalled loop would never see
the signal. Here the kernel's notice goes to a thread of its own, which tells the loop and arms an end that needs
neither the loop nor the interpreter's lock.
"""

import asyncio
import faulthandler
import logging
import signal
import socket
import threading

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
log = logging.getLogger(__name__)


def on_signal(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, within_s: float) -> None:
    """Sets `stop` at the first signal; after `within_s` more the process ends with the stacks of all threads on stderr.

    Call it on the main thread. What is acknowledged by then is on disk, and the next start loads it.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(ours, theirs, loop, stop, within_s), name="signals", daemon=True).start()


def _wait(
    ours: socket.socket,
    theirs: socket.socket,  # kept open with the thread
    loop: asyncio.AbstractEventLoop,
    stop: asyncio.Event,
    within_s: float,
) -> None:
    while number := ours.recv(1):
        if number[0] in _SIGNALS:
            break
    faulthandler.dump_traceback_later(within_s, exit=True)
    try:
        loop.call_soon_threadsafe(stop.set)
    except RuntimeError:  # the loop has ended by itself
        log.debug("the loop was closed before the signal")
