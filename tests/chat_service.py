"""The chat service on a real port, exporting to a real receiver: what the chat tests run against."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import uvicorn

from otlp_sink import Sink
from spanledger import telemetry
from spanledger.api.app import create_app
from spanledger.pricing import load_book
from spanledger.runtime.services import Services
from spanledger.settings import Settings
from spanledger.workflows import Runner

T = TypeVar("T")


class ChatService:
    """Use it as a context manager. `flush` before looking into `sink`."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self._settings = Settings(data_dir=data_dir, **settings)
        self.sink = Sink()

    def __enter__(self) -> Self:
        self.sink.__enter__()
        self.telemetry = telemetry.start(self.sink.endpoint, capture_content=self._settings.capture_content)
        self.runner = Runner(self._settings, self.telemetry, load_book())
        self.app = create_app(Services(self._settings, self.telemetry, self.runner))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None, access_log=False, lifespan="off"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        self.do(self.runner.warm())
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self.telemetry.shutdown()
        self.sink.__exit__()
        self._socket.close()
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs something on the service's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def flush(self) -> Sink:
        """Everything emitted so far is in the sink."""
        self.do(self._idle())
        assert self.telemetry.flush()
        return self.sink

    async def _idle(self) -> None:
        """Until no request runs: a response is complete slightly before its server span ends."""
        while self._server.server_state.tasks:
            await asyncio.wait(set(self._server.server_state.tasks))

    async def _serve(self) -> None:
        await self._server.serve([self._socket])
        await self.runner.close()
