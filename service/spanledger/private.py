"""What only our own user may see: the files of the data folder, and keys, which no log shows."""

import contextlib
import logging
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OTHERS = 0o077


def make_private(folder: Path) -> None:
    """From now on this process and its children create files for their user alone; the folder is closed to others,
    and with it all that it held before. A folder of another user stays as it is."""
    os.umask(_OTHERS)
    folder.mkdir(parents=True, exist_ok=True)
    mode = folder.stat().st_mode & 0o777
    if mode & _OTHERS and folder.stat().st_uid == os.geteuid():
        folder.chmod(mode & ~_OTHERS)


class _Scrubbing:
    """Makes log records whose text and traceback hold no secret."""

    def __init__(self, below: Callable[..., logging.LogRecord]) -> None:
        self._below = below

    def __call__(self, *args: Any, **more: Any) -> logging.LogRecord:
        record = self._below(*args, **more)
        text = record.getMessage()
        clean = scrub(text)
        if clean != text:
            record.msg, record.args = clean, ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = scrub(logging.Formatter().formatException(record.exc_info))
        return record


def scrub_logs() -> None:
    """From now on no log record of this process shows a key."""
    below = logging.getLogRecordFactory()
    if not isinstance(below, _Scrubbing):
        logging.setLogRecordFactory(_Scrubbing(below))


def kept_secret(path: Path) -> bytes:
    """A random secret that is made once, for our own user only, by whichever process comes first. Raises OSError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_bytes()


def known_values() -> tuple[str, ...]:
    """The secrets of this process' environment."""
    return _values()


def scrub(text: str) -> str:
    """The text without keys: ours by their form, those of the environment by their value, others by their form."""
    clean = _KEYS.sub(lambda found: next(filter(None, found.groups())) + "***", text)
    for value in _values():
        clean = clean.replace(value, "***")
    return clean


def _values() -> tuple[str, ...]:
    """Values of environment variables that are named like secrets. Short ones could be words of any text."""
    named = (value for name, value in os.environ.items() if name.upper().endswith(_SECRET_NAMES))
    return tuple(value for value in named if len(value) >= _SHORTEST)


_SECRET_NAMES = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_HEADERS")
_SHORTEST = 12
_KEYS = re.compile(
    r"(sl_[a-z2-7]{12}_)[A-Za-z0-9_-]{20,}|(?<!\w)(op_)[A-Za-z0-9_-]{30,}|(?<!\w)(sk-)[A-Za-z0-9_-]{16,}"
    r"|((?:Bearer|Basic) )[A-Za-z0-9+/_=.-]{8,}"
)
