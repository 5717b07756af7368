"""A disk that a test may fill or make read-only: a tmpfs in a mount namespace of its own, without being root."""

import shutil
import subprocess
from pathlib import Path

import pytest


class SmallDisk:
    """`enter` goes in front of a command that shall see the disk; `inside` is where the test itself sees it."""

    def __init__(self, folder: Path, size: str) -> None:
        folder.mkdir()
        if shutil.which("unshare") is None or shutil.which("nsenter") is None:
            pytest.skip("no unshare and nsenter (util-linux) to make a small disk with")
        mount = f'mount -t tmpfs -o size={size} none "$0" && echo mounted && exec cat'
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(folder)]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != "mounted\n":
            pytest.skip(f"this machine lets nobody mount in a namespace: {self._holder.stderr.read().strip()}")
        pid = self._holder.pid
        self.enter = ["nsenter", "--user", "--mount", "--preserve-credentials", f"--target={pid}"]
        self.folder = folder
        self.inside = Path(f"/proc/{pid}/root{folder.resolve()}")
        self._ballast = self.inside / "ballast"

    def fill(self, leave_bytes: int) -> None:
        """Takes all but so many bytes away."""
        with self._ballast.open("ab") as file:
            while (rest := shutil.disk_usage(self.inside).free - leave_bytes) > 4096:
                file.write(bytes(min(rest, 16 * 1024 * 1024)))
                file.flush()

    def empty(self) -> None:
        self._ballast.unlink()

    def make_read_only(self) -> None:
        subprocess.run([*self.enter, "mount", "-o", "remount,ro", str(self.folder)], check=True)

    def close(self) -> None:
        for pipe in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            assert pipe is not None
            pipe.close()
        self._holder.wait(30)
