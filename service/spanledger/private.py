"""Files that only our own user can read: the data folder holds prompts, keys' hashes and other services' secrets."""

import os
from pathlib import Path

_OTHERS = 0o077


def make_private(folder: Path) -> None:
    """From now on this process and its children create files for their user alone; the folder is closed to others,
    and with it all that it held before. A folder of another user stays as it is."""
    os.umask(_OTHERS)
    folder.mkdir(parents=True, exist_ok=True)
    mode = folder.stat().st_mode & 0o777
    if mode & _OTHERS and folder.stat().st_uid == os.geteuid():
        folder.chmod(mode & ~_OTHERS)
