"""The operator's token: how processes of this machine show that they may read the data folder.

`up` makes it anew at each start, in a file that only its own user can read. Commands send it, and so does the chat
service's exporter: what comes with it may name its tenant itself. Beside it lies the secret that seals the audit trail.
"""

import os
import secrets
from pathlib import Path

_FILE = "operator.token"
_SEAL = "audit.secret"


def renew(data_dir: Path) -> str:
    """Makes a new token and forgets the one before."""
    token = "op_" + secrets.token_urlsafe(32)
    _write(data_dir / _FILE, token)
    return token


def read(data_dir: Path) -> str:
    """The token of the `up` that runs on the folder; empty when there is none or we may not read it."""
    try:
        return (data_dir / _FILE).read_text()
    except OSError:
        return ""


def seal_secret(data_dir: Path) -> str:
    """What seals the entries of the audit trail; made once for a data folder."""
    path = data_dir / _SEAL
    if not path.exists():
        _write(path, secrets.token_urlsafe(32))
    return path.read_text()


def _write(path: Path, text: str) -> None:
    """Whole or not at all, for our own user only."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
