"""Python processes of the project that begin with its modules in memory.

Importing costs a system more processor time than everything else until it is ready. One server for all workers of a
run of tests imports the modules once, and forks for each process that a test wants: what runs in it is what
`python -m MODULE …` runs, with its own environment, files and exit code. Tests of start-up itself do not use this.
"""

import array
import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

# What a system imports by itself. No native library whose threads a fork would lose: each process loads chDB.
MODULES = (
    "spanledger.runtime.memory",  # first: it says how memory is given back
    *("spanledger.cli.main", "spanledger.cli.up", "spanledger.web.app", "spanledger.runtime.serve"),
    *("spanledger.workflows.engine", "langgraph.graph", "pandas", "litellm"),
    *("spanledger.workflows.litellm_silence", "spanledger.workflows.offline"),
)
_OF_ONE_PROCESS = ("__", "chdb")
_SHARED = "PRELOADED_SERVER"  # the variable with the address of a server that the workers of a run share
_MAX_REQUEST = 1 << 20


class Process:
    """A forked process, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], stdin: int, stdout: int, stderr: int):
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.connect(_server())
        request = {"arguments": list(arguments), "environ": dict(environ), "folder": str(Path.cwd())}
        body = json.dumps(request).encode()
        ends = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [stdin, stdout, stderr]))]
        self._connection.sendmsg([len(body).to_bytes(4, "big")], ends)
        self._connection.sendall(body)
        self._news = self._connection.makefile("r")
        self.args = [sys.executable, *arguments]
        self.pid = int(self._news.readline())
        self.returncode: int | None = None
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._news.readline())
            self._news.close()
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(arguments: Sequence[str], environ: Mapping[str, str], stderr: int, asked: bool = False) -> Process:
    """`python ARGUMENTS` with a pipe for its standard output, and if it is asked things, for its standard input."""
    reading, writing = os.pipe()
    given, giving = os.pipe() if asked else (os.open(os.devnull, os.O_RDONLY), None)
    process = Process(arguments, environ, given, writing, stderr)
    os.close(given)
    os.close(writing)
    process.stdout = os.fdopen(reading)
    process.stdin = os.fdopen(giving, "w") if giving is not None else None
    return process


def run(
    arguments: Sequence[str], timeout: float, environ: Mapping[str, str] | None = None, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """What `subprocess.run` with captured output does."""
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        given.write(stdin)
        given.seek(0)
        process = Process(arguments, environ or os.environ, given.fileno(), out.fileno(), err.fileno())
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(process.args, code, out.read(), err.read())


def _file() -> IO[str]:
    return tempfile.TemporaryFile("w+")


def migrate(data_dir: Path) -> None:
    """Gives a new data folder the schema as it is, by a copy of a folder that was migrated once."""
    folder = Path(_server()).with_name("template")
    with folder.with_name("template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            done = run(["-m", "spanledger.cli", "migrate", "--data-dir", str(folder)], timeout=300)
            assert done.returncode == 0, done.stderr
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(folder / "clickhouse", data_dir / "clickhouse", symlinks=True)


def share() -> None:
    """Starts a server for the processes that this one starts from now on. It imports while they begin."""
    os.environ[_SHARED] = _server()


_started: list[str] = []


def _server() -> str:
    """The address of the server: one that is shared, or one of this process, started for its first question."""
    if _SHARED in os.environ:
        return os.environ[_SHARED]
    if not _started:
        folder = tempfile.TemporaryDirectory(prefix="preloaded-")
        path = f"{folder.name}/server"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:  # who connects early waits for its answer
            listener.bind(path)
            listener.listen(64)
            process = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            )

        def end() -> None:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
            folder.cleanup()

        atexit.register(end)
        _started.append(path)
    return _started[0]


class _Server:
    """Forks for each connection, tells it the process id, and the exit code once there is one."""

    def __init__(self, listening: int) -> None:
        self._listener = socket.socket(fileno=listening)
        self._running: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        reading, writing = socket.socketpair()
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._reaped, self._waking = reading, writing
        for readable in (self._listener, reading, sys.stdin):
            self._selector.register(readable, selectors.EVENT_READ)

    def serve(self) -> list[str] | None:
        """In a forked process, the arguments that it was asked for; in the server None, once its client has gone."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    for pid in self._running:  # of tests that were broken off
                        os.kill(pid, signal.SIGKILL)
                    return None
                if key.fileobj is self._reaped:
                    self._reaped.recv(4096)
                    self._reap()
                    continue
                arguments = self._fork(self._listener.accept()[0])
                if arguments is not None:
                    return arguments

    def _fork(self, connection: socket.socket) -> list[str] | None:
        size, ends, _, _ = socket.recv_fds(connection, 4, 3)
        body = b""
        while len(body) < int.from_bytes(size, "big"):
            body += connection.recv(_MAX_REQUEST)
        request = json.loads(body)
        pid = os.fork()
        if pid == 0:
            self._become(request, ends, connection)
            arguments: list[str] = request["arguments"]
            return arguments
        for end in ends:
            os.close(end)
        self._running[pid] = connection
        connection.sendall(f"{pid}\n".encode())
        self._reap()
        return None

    def _reap(self) -> None:
        for pid in list(self._running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with self._running.pop(pid) as connection, contextlib.suppress(OSError):
                    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())

    def _become(self, request: dict[str, Any], ends: list[int], connection: socket.socket) -> None:
        """In the forked process: its own environment, folder and files, and nothing of the server."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for mine in (self._listener, self._reaped, self._waking, connection, *self._running.values()):
            mine.close()
        for number, end in enumerate(ends):
            os.dup2(end, number)
            os.close(end)
        os.environ.clear()
        os.environ.update(request["environ"])
        os.chdir(request["folder"])


def _main(listening: int) -> None:
    gc.disable()  # nothing that is imported is garbage
    for name in MODULES:
        importlib.import_module(name)
    _forked_imports()
    gc.collect()
    gc.freeze()  # or every collection of a forked process would copy what all share
    gc.enable()
    arguments = _Server(listening).serve()
    if arguments is not None:
        code = _run(arguments)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the end of an interpreter frees each module, which costs more than most commands


def _forked_imports() -> None:
    """Imports what the API's routes and the first calls of a model import. They run in a process of their own: here
    they would leave threads behind, which a fork does not copy.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        from spanledger.api.app import app_with_routes
        from spanledger.pricing import load_book
        from spanledger.settings import Settings
        from spanledger.workflows.litellm_model import LiteLLM

        app_with_routes(Settings())
        LiteLLM(load_book())._load()
        with os.fdopen(writing, "w") as names:
            json.dump([name for name in sys.modules if not name.startswith(_OF_ONE_PROCESS)], names)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as names:
        for name in json.load(names):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    os.waitpid(pid, 0)


def _run(arguments: list[str]) -> int:
    """Runs a module or a file; returns the exit code as Python would."""
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(arguments[0]).parent))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of the tests is not on the path of what is run
    _main(int(sys.argv[1]))
