"""A real ClickHouse server on loopback without Docker, for local work and tests: `make clickhouse`.

ClickHouse's own npm package carries the engine as `libchdb.so`. Its entry point `chdb_query_cmdline` runs
`clickhouse local`, which serves the real HTTP and native protocols once it is told to listen. Standard library only.
"""

import argparse
import ctypes
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "clickhouse"
LIBRARY = BUILD / "node_modules" / "@chdb" / "lib-linux-x64-gnu" / "libchdb.so"
SHIPPED = ROOT / "clickhouse" / "server"
USERS = ("admin", "app", "ingest", "reader")
BLOCKING_QUERY = "SELECT sleepEachRow(3) FROM numbers(1000000000) SETTINGS max_block_size = 1 FORMAT Null"


def install() -> Path:
    """Fetches the pinned package through npm, checked against the lock file; returns the library's path. Of several
    that start at once one fetches it, and the others wait: a part of the library is no library."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return LIBRARY if LIBRARY.exists() else _fetched()


def _fetched() -> Path:
    if shutil.which("npm") is None:
        sys.exit("npm is needed to fetch the engine: apt-get install npm (or use a server of yours)")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SHIPPED / name, BUILD / name)
    print("fetching the ClickHouse engine (170 MB, once)", file=sys.stderr, flush=True)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=BUILD)
    if done.returncode != 0 or not LIBRARY.exists():
        sys.exit("npm could not fetch the engine (linux x64 with glibc only); see its message above")
    return LIBRARY


def passwords(data_dir: Path) -> dict[str, str]:
    """One password per user, made at the first start and kept beside the data, readable by the owner only."""
    file = data_dir / "passwords.json"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(json.dumps({user: secrets.token_urlsafe(24) for user in USERS}))
    known: dict[str, str] = json.loads(file.read_text())
    return known


def write_config(options: argparse.Namespace) -> Path:
    """config.xml of this start; the parts that a production server takes too are copied beside it."""
    data = options.data_dir
    for part in ("config.d", "users.d"):
        shutil.rmtree(data / part, ignore_errors=True)
        shutil.copytree(SHIPPED / part, data / part)
    (data / "users.xml").write_text(_USERS)
    (data / "config.d" / "cluster.xml").write_text(_cluster(options))
    for part in options.config:
        shutil.copy(part, data / "config.d" / part.name)
    config = data / "config.xml"
    config.write_text(
        f"""<clickhouse>
    <logger><level>information</level><log>{data}/server.log</log><errorlog>{data}/error.log</errorlog>
        <size>20M</size><count>3</count></logger>
    <path>{data}/data/</path>
    <users_config>{data}/users.xml</users_config>
    <listen_host>127.0.0.1</listen_host>
    <http_port>{options.http_port}</http_port>
    <tcp_port>{options.tcp_port}</tcp_port>
    <backups><allowed_path>{data}/backups/</allowed_path></backups>
    <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
</clickhouse>
"""
    )
    return config


# The engine logs itself in as `default` without a password: that user may start the listeners and nothing else.
_USERS = """<clickhouse>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <password></password>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile><quota>default</quota>
            <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants>
        </default>
    </users>
</clickhouse>
"""


def _cluster(options: argparse.Namespace) -> str:
    """Shards by their native ports; nothing when this is a server of its own."""
    if not options.shards:
        return "<clickhouse/>\n"
    shards = "".join(
        "<shard><internal_replication>true</internal_replication><replica><host>127.0.0.1</host>"
        f"<port>{port}</port><user>spanledger_admin</user><password>{options.shard_password}</password>"
        "</replica></shard>"
        for port in options.shards
    )
    number = options.shards.index(options.tcp_port) + 1
    return (
        f"<clickhouse><remote_servers><spanledger>{shards}</spanledger></remote_servers>"
        f"<macros><spanledger_cluster>spanledger</spanledger_cluster><shard>{number:02}</shard>"
        "</macros></clickhouse>\n"
    )


def serve(options: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT; prints `ready` with the URL once queries are answered."""
    library = install()
    options.data_dir = options.data_dir.resolve()
    options.data_dir.mkdir(parents=True, exist_ok=True)
    known = passwords(options.data_dir)
    options.shard_password = options.shard_password or known["admin"]
    if options.shards:
        known["admin"] = options.shard_password
    for user, password in known.items():
        os.environ[f"SPANLEDGER_CLICKHOUSE_{user.upper()}_PASSWORD"] = password
    config = write_config(options)
    # This engine forgets its log tables when it stops, and cannot make them again beside their old files.
    shutil.rmtree(options.data_dir / "data" / "data" / "system", ignore_errors=True)
    os.chdir(options.data_dir)  # the engine keeps decoded schemas below its working folder
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    failure: list[str] = []
    engine = threading.Thread(target=_run, args=(library, config, failure, stop), daemon=True)
    engine.start()
    ask = _Asker(options.http_port, known["admin"])
    if not _wait_ready(ask, options, stop):
        print(f"the server did not start: {''.join(failure) or 'see ' + str(options.data_dir / 'error.log')}")
        return 1
    ask("CREATE DATABASE IF NOT EXISTS spanledger")
    url = f"http://spanledger_admin:{known['admin']}@127.0.0.1:{options.http_port}/spanledger"
    (options.data_dir / "url").touch(mode=0o600)
    (options.data_dir / "url").write_text(url)
    print(f"ready: HTTP 127.0.0.1:{options.http_port}, native 127.0.0.1:{options.tcp_port}, data {options.data_dir}")
    print(f'use it with: spanledger up --clickhouse-url "$(cat {options.data_dir / "url"})"', flush=True)
    stop.wait()
    _end(ask, engine)
    return 0 if not failure else 1


def _run(library: Path, config: Path, failure: list[str], stop: threading.Event) -> None:
    """The engine; comes back when its blocking query is killed, or at once when it cannot start."""
    chdb = ctypes.CDLL(str(library))
    run = chdb.chdb_query_cmdline
    run.restype, run.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    error = chdb.chdb_result_error
    error.restype, error.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    queries = f"SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; {BLOCKING_QUERY}"
    words = [b"clickhouse", f"--config-file={config}".encode(), f"--query={queries}".encode()]
    result = run(len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None))
    message = error(result) if result else b"the engine gave no result"
    if message and not stop.is_set():
        failure.append(message.decode(errors="replace").splitlines()[0])
    stop.set()


class _Asker:
    """Queries as the administrator."""

    def __init__(self, port: int, password: str) -> None:
        self._url = f"http://127.0.0.1:{port}/"
        self._headers = {"X-ClickHouse-User": "spanledger_admin", "X-ClickHouse-Key": password}

    def __call__(self, sql: str, timeout: float = 10.0) -> str:
        request = urllib.request.Request(self._url, sql.encode(), self._headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            text: Any = answer.read().decode()
        return str(text)


def _wait_ready(ask: _Asker, options: argparse.Namespace, stop: threading.Event) -> bool:
    """Whether it answers; asks until the engine gives up. The port may be somebody else's: its path tells."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not stop.wait(0.1):
        try:
            return ask("SELECT path FROM system.disks WHERE name = 'default'").strip() == f"{options.data_dir}/data/"
        except urllib.error.HTTPError as exc:
            print(f"port {options.http_port} is answered by another server: {exc.reason}", file=sys.stderr)
            return False
        except OSError:
            continue
    return False


def _end(ask: _Asker, engine: threading.Thread) -> None:
    """Ends the blocking query, so that the engine writes its logs and closes its tables."""
    try:
        ask("SYSTEM FLUSH LOGS")
        ask("KILL QUERY WHERE user = 'default' ASYNC")
    except OSError as exc:
        print(f"the engine did not answer while stopping: {exc}", file=sys.stderr)
    engine.join(3)  # open connections hold it; everything acknowledged is on disk
    sys.stdout.flush()
    os._exit(0)  # the engine keeps threads that would abort a normal exit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="fetch the engine")
    serving = commands.add_parser("serve", help="run until Ctrl-C")
    serving.add_argument("--data-dir", type=Path, default=BUILD / "server")
    serving.add_argument("--http-port", type=int, default=8123)
    serving.add_argument("--tcp-port", type=int, default=9000)
    serving.add_argument("--config", type=Path, action="append", default=[], help="a further file for config.d")
    serving.add_argument("--shards", type=lambda text: [int(p) for p in text.split(",")], help="native ports of all")
    serving.add_argument("--shard-password", default="", help="of the administrator, the same on all shards")
    options = parser.parse_args()
    if options.command == "install":
        print(install())
        return 0
    return serve(options)


if __name__ == "__main__":
    sys.exit(main())
