"""A real ClickHouse server for tests: started from the npm package, or the one of SPANLEDGER_TEST_CLICKHOUSE_URL."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spanledger.store import migrate
from spanledger.store.client import Store, open_server
from system import free_port

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "clickhouse_server.py"
ENGINE = ROOT / "build" / "clickhouse" / "node_modules" / "@chdb" / "lib-linux-x64-gnu" / "libchdb.so"
GIVEN_URL = os.environ.get("SPANLEDGER_TEST_CLICKHOUSE_URL", "")


def skip_without_engine() -> None:
    """Fetches the engine if npm can; else skips the test, saying why."""
    if ENGINE.exists():
        return
    if shutil.which("npm") is None:
        pytest.skip("no npm to fetch the ClickHouse engine with, and SPANLEDGER_TEST_CLICKHOUSE_URL is not set")
    done = subprocess.run([sys.executable, str(TOOL), "install"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"npm could not fetch the ClickHouse engine: {done.stderr.strip().splitlines()[-1]}")


class Server:
    """One server process on ports and a data folder of its own. `start` returns when it answers."""

    def __init__(self, data_dir: Path, *configs: Path, shards: tuple[int, ...] = (), shard_password: str = "") -> None:
        self.data_dir = data_dir
        self.configs = configs  # further files for config.d
        self.http_port = free_port()
        self.tcp_port = free_port()
        self.shards = shards
        self.shard_password = shard_password
        self.process: subprocess.Popen[str] | None = None

    def start(self, **environ: str) -> "Server":
        command = [sys.executable, str(TOOL), "serve", "--data-dir", str(self.data_dir)]
        command += [f"--http-port={self.http_port}", f"--tcp-port={self.tcp_port}"]
        command += [f"--config={path}" for path in self.configs]
        if self.shards:
            command += [
                f"--shards={','.join(map(str, self.shards))}",
                f"--shard-password={self.shard_password}",
            ]
        with (self.data_dir.parent / f"{self.data_dir.name}.stderr").open("a") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **environ}
            )
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if line.startswith("ready"):
                return self
        raise AssertionError(f"the server ended with {self.process.wait()}: {''.join(seen)}")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def password(self, user: str) -> str:
        if user == "admin" and self.shard_password:
            return self.shard_password
        known: dict[str, str] = json.loads((self.data_dir / "passwords.json").read_text())
        return known[user]

    def url(self, user: str = "admin", database: str = "spanledger") -> str:
        return f"http://spanledger_{user}:{self.password(user)}@127.0.0.1:{self.http_port}/{database}"

    def open(self, user: str = "admin", database: str = "spanledger") -> Store:
        return open_server(self.url(user, database))


def start_shards(folder: Path) -> tuple[Server, Server]:
    """Two migrated servers as the shards of one cluster."""
    pair = Server(folder / "one"), Server(folder / "two")
    for server in pair:
        server.shards = tuple(each.tcp_port for each in pair)
        server.shard_password = "of-both-shards"
        server.start()
    for server in pair:
        store = server.open()
        migrate.migrate(store)
        store.close()
    return pair


def fresh_database(url: str) -> str:
    """A new database on the server of `url`, as the URL to use it."""
    parts = urlsplit(url)
    name = f"spanledger_test_{secrets.token_hex(4)}"
    store = open_server(parts._replace(path="/default").geturl())
    store.command(f"CREATE DATABASE {name}")
    store.close()
    return parts._replace(path=f"/{name}").geturl()
