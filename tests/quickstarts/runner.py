"""Runs the code blocks of a page in docs/quickstart as a reader would: files written, commands run in order.

Blocks with a title are files. Blocks of `bash` are run, but for their lines that install packages: those are in the
environment already. A block behind `<!-- server: PORT -->` stays in the background until the page ends, and the next
one waits until that port accepts. Addresses of Spanledger and of servers are replaced by those of the test.

Clients call the providers by their real host names, without TLS, and reach the emulator as their HTTP proxy: spans then
name the host as in production. Node has no such proxy; there `names.cjs` resolves the host names.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from doc_blocks import ROOT, Block, blocks
from system import System, free_port

PAGES = ROOT / "docs" / "quickstart"
REQUIREMENTS = Path(__file__).parent / "requirements"
ENVIRONMENTS = ROOT / "build" / "quickstarts"
COLLECTOR = ROOT / "build" / "collector"
_INSTALLS = re.compile(r"^(pip|npm) install (.*\\\n)*.*$", re.MULTILINE)
_TIMEOUT_S = 240.0


def pins(page: str) -> dict[str, str]:
    """Package → version that the page runs with; a page that starts a program of its own has none."""
    node = REQUIREMENTS / f"{page}.json"
    if node.exists():
        return dict(json.loads(node.read_text())["dependencies"])
    listed = REQUIREMENTS / f"{page}.txt"
    text = listed.read_text() if listed.exists() else ""
    return dict(re.findall(r"^([\w.@/-]+?)(?:\[[\w,]+\])?==(\S+)", text, re.MULTILINE))


def is_here(page: str) -> bool:
    """Whether the environment of the tests has every package of the page, in its version."""
    try:
        return all(version(package) == pinned for package, pinned in pins(page).items())
    except PackageNotFoundError:
        return False


def programs(page: str) -> Path | None:
    """The folder of the page's interpreter and commands; None where `make quickstarts` did not build it."""
    if is_here(page):
        return Path(sys.executable).parent
    built = ENVIRONMENTS / page
    return next((folder for folder in (built / "bin", built / "node_modules" / ".bin") if folder.exists()), None)


class PageRun:
    """One page in one folder. `close` ends the servers that it started."""

    def __init__(self, page: str, folder: Path, system: System, provider: str) -> None:
        self.blocks = list(blocks(PAGES / f"{page}.md"))
        self.folder = folder
        found = programs(page) or Path(sys.executable).parent
        grpc_port = next(int(flag.split("=")[1]) for flag in system.flags if flag.startswith("--otlp-grpc-port"))
        self._addresses: dict[str, str] = {}
        for port, own in ((8000, system.port), (4318, system.otlp_port), (14318, system.otlp_port), (4317, grpc_port)):
            self._replace_port(port, own)
        self.environ = {
            **os.environ,
            "PATH": os.pathsep.join([str(found), str(Path(sys.executable).parent), str(COLLECTOR), os.environ["PATH"]]),
            "SPANLEDGER_DATA_DIR": str(system.data_dir),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{system.otlp_port}",
            **_provider_environment(provider),
        }
        modules = ENVIRONMENTS / page / "node_modules"
        if not modules.exists():
            self.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "60"  # seconds in Python, for busy machines
        else:
            shutil.copy(ENVIRONMENTS / page / "package.json", folder)
            (folder / "node_modules").symlink_to(modules)
        self.printed = ""
        self._servers: list[subprocess.Popen[bytes]] = []
        self._learn_servers()

    def run(self, between: Callable[[], object]) -> str:
        """Everything that the page's commands print; `between` is called before each command."""
        self.printed = ""
        for block in self.blocks:
            if block.title:
                (self.folder / block.title).write_text(self._own_addresses(block.text))
            elif block.mark == "server":
                self._serve(block)
            elif block.language == "bash":
                between()
                self.printed += self._command(block)
        return self.printed

    def close(self) -> None:
        for server in self._servers:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)

    def address(self, port: int) -> str:
        """Where what the page has at this port is."""
        return "http://" + self._addresses[f"127.0.0.1:{port}"]

    def _learn_servers(self) -> None:
        for block in self.blocks:
            if block.mark == "server":
                own = free_port()
                self._replace_port(int(block.value), own)
                self._addresses[f"--port {block.value}"] = f"--port {own}"

    def _replace_port(self, port: int, own: int) -> None:
        for host in ("127.0.0.1", "localhost"):
            self._addresses[f"{host}:{port}"] = f"127.0.0.1:{own}"

    def _own_addresses(self, text: str) -> str:
        pattern = "|".join(map(re.escape, self._addresses))
        return re.sub(rf"(?:{pattern})\b", lambda found: self._addresses[found[0]], text)

    def _script(self, block: Block) -> str:
        text = self._own_addresses(_INSTALLS.sub("", block.text))
        return re.sub(r"^export [A-Z_]+_API_KEY=.*$", "", text, flags=re.MULTILINE)

    def _command(self, block: Block) -> str:
        script = "set -e\n" + self._script(block)
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
        )
        assert ended.returncode == 0, f"{block}: {(self.printed + ended.stdout)[-4000:]}"
        return ended.stdout

    def _serve(self, block: Block) -> None:
        log = self.folder / f"server-{block.value}.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["bash", "-c", self._script(block)],
                cwd=self.folder,
                env=self.environ,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._servers.append(server)
        port = int(self.address(int(block.value)).rsplit(":", 1)[1])
        deadline = time.monotonic() + _TIMEOUT_S
        while not _accepts(port):
            assert server.poll() is None, f"{block}: {log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, f"{block}: {log.read_text()[-4000:]}"


def _provider_environment(emulator: str) -> dict[str, str]:
    port = emulator.rsplit(":", 1)[1]
    return {
        "HTTP_PROXY": emulator,
        "http_proxy": emulator,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "AIOHTTP_TRUST_ENV": "True",
        "NODE_OPTIONS": f"--require={Path(__file__).parent / 'names.cjs'}",
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": f"http://api.openai.com:{port}/v1",
        "OPENAI_API_BASE": f"http://api.openai.com:{port}/v1",
        "ANTHROPIC_API_KEY": "test",
        "ANTHROPIC_BASE_URL": f"http://api.anthropic.com:{port}",
        "GOOGLE_API_KEY": "test",
        "GOOGLE_GEMINI_BASE_URL": f"http://generativelanguage.googleapis.com:{port}",
    }


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True
