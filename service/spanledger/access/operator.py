"""The operator's token: how processes of this machine show that they may read the data folder.

`up` makes it anew at each start, in a file that only its own user can read. Commands send it, and so does the chat
service's exporter: what comes with it may name its tenant itself.
"""

import os
import secrets
from pathlib import Path

_FILE = "operator.token"


def renew(data_dir: Path) -> str:
    """Makes a new token and forgets the one before."""
    token = "op_" + secrets.token_urlsafe(32)
    draft = data_dir / f"{_FILE}.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    draft.replace(data_dir / _FILE)
    return token


def read(data_dir: Path) -> str:
    """The token of the `up` that runs on the folder; empty when there is none or we may not read it."""
    try:
        return (data_dir / _FILE).read_text()
    except OSError:
        return ""
