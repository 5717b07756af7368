"""Runs the commands of the docs' pages against a running system, as a reader would: in their order, in one folder.

Blocks with a title are files. Of `console` blocks the lines behind `$` are run; `http` blocks have a request a line,
their JSON may go on in the next. Addresses are replaced by those of the system.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from doc_blocks import Block
from system import System

_TIMEOUT_S = 120.0
_REQUEST = re.compile(r"^(GET|PUT|POST|DELETE) (\S+) *(.*(?:\n +.*)*)$", re.MULTILINE)


class DocRun:
    """`words`: what stands in the page for something of the reader's → what it is here."""

    def __init__(self, folder: Path, system: System, words: Mapping[str, str]) -> None:
        self.folder = folder
        self._words = dict(words)
        self.printed = ""
        self._system = system
        (folder / ".curlrc").write_text("fail-with-body\nshow-error\nmax-time = 60\n")
        self._environ = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(folder),
            "CURL_HOME": str(folder),
            "SPANLEDGER_DATA_DIR": str(system.data_dir),
            "API": f"http://127.0.0.1:{system.port}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{system.otlp_port}",
        }

    def run(self, block: Block) -> None:
        """Raises AssertionError with what was printed when a command fails or a request is refused."""
        if block.title:
            (self.folder / block.title).write_text(block.text)
        elif block.language == "http":
            for method, target, body in requests(self._here(block.text)):
                self._request(block, method, target, body)
        elif block.mark == "body":
            method, target = block.value.split()
            self._request(block, method, target, block.text)
        else:
            is_shown = block.language == "console"
            for command in shown_commands(block.text) if is_shown else [block.text]:
                self.bash(command, str(block))

    def _here(self, text: str) -> str:
        text = re.sub(r"\b(?:localhost|127\.0\.0\.1):8000\b", f"127.0.0.1:{self._system.port}", text)
        text = re.sub(r"\b(?:localhost|127\.0\.0\.1):4318\b", f"127.0.0.1:{self._system.otlp_port}", text)
        for word, own in self._words.items():
            text = text.replace(word, own)
        if key := re.search(r"^sl_([a-z0-9]+)_", self.printed, re.MULTILINE):
            text = re.sub(r"(?<=keys revoke )\S+", key[1], text)
        return text

    def bash(self, script: str, name: str = "") -> None:
        """Runs one script to its end; `name` says where it is from."""
        ended = subprocess.run(
            ["bash", "-c", "set -e -o pipefail\n" + self._here(script)],
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
        )
        self.printed += ended.stdout
        assert ended.returncode == 0, f"{name or script} ended with {ended.returncode}: {ended.stdout[-4000:]}"

    @contextmanager
    def started(self, block: Block) -> Iterator[Iterator[str]]:
        """The lines that a command prints that has no end; it is ended with the `with`."""
        process = subprocess.Popen(
            ["bash", "-c", "exec " + self._here(shown_commands(block.text)[0])],
            cwd=self.folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield (line.rstrip("\n") for line in process.stdout)
        finally:
            process.terminate()
            process.stdout.close()
            process.wait(30)

    def _request(self, block: Block, method: str, target: str, body: str) -> None:
        content = json.dumps(json.loads(body)).encode() if body else None
        status, _, answer = self._system.request(method, target, content, Content_Type="application/json")
        assert status < 300, f"{block}: {method} {target} is answered {status}: {answer}"


def shown_commands(text: str) -> list[str]:
    """The commands of a `console` block, without what they print."""
    return [found[1] for found in re.finditer(r"^\$ ((?:.*\\\n)*.*)$", text, re.MULTILINE)]


def requests(text: str) -> Iterator[tuple[str, str, str]]:
    """Method, target and body of each request of an `http` block."""
    for found in _REQUEST.finditer(text):
        yield found[1], found[2], found[3].strip()
