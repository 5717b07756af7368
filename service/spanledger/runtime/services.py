"""The services that the routers use. The composition root creates them, the request carries them."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, FastAPI, Request

from spanledger.access import LOCAL, Principal
from spanledger.access.access import Access
from spanledger.erasure.erasures import Erasures
from spanledger.errors import Elsewhere
from spanledger.ingest.service import Ingest
from spanledger.ledger.ledger import Ledger
from spanledger.live import Live
from spanledger.runtime.canaries import Canaries
from spanledger.runtime.platform import Platform
from spanledger.runtime.stalls import Stalls
from spanledger.settings import Settings
from spanledger.stats.sandbox.pool import Sandboxes
from spanledger.store.client import Store
from spanledger.telemetry import Telemetry
from spanledger.workflows import Runner


@dataclass(frozen=True)
class Books:
    """The parts that need a data folder or a ClickHouse server. `reading`: the store for questions of callers, with
    limits."""

    store: Store
    reading: Store
    ledger: Ledger
    ingest: Ingest
    platform: Platform
    canaries: Canaries
    sandboxes: Sandboxes
    erasures: Erasures


@dataclass(frozen=True)
class Services:
    """The parts of one running service. `books` None: a chat service alone, without a store; `live` None: no stream.

    Questions about books that this process does not hold raise Elsewhere.
    """

    settings: Settings
    telemetry: Telemetry
    runner: Runner
    books: Books | None = None
    live: Live | None = None
    stalls: Stalls | None = None

    @property
    def store(self) -> Store:
        return self._books.store

    @property
    def reading(self) -> Store:
        return self._books.reading

    @property
    def ledger(self) -> Ledger:
        return self._books.ledger

    @property
    def ingest(self) -> Ingest:
        return self._books.ingest

    @property
    def platform(self) -> Platform:
        return self._books.platform

    @property
    def canaries(self) -> Canaries:
        return self._books.canaries

    @property
    def sandboxes(self) -> Sandboxes:
        return self._books.sandboxes

    @property
    def erasures(self) -> Erasures:
        return self._books.erasures

    @property
    def access(self) -> Access | None:
        """None: there are no keys, so every caller is the operator."""
        return self.books.platform.access if self.books is not None else None

    def attach(self, app: FastAPI) -> None:
        """To an application made without them; its requests are instrumented from now on."""
        app.state.services = self
        self.telemetry.instrument_app(app)

    def in_flight(self, tenant: str) -> int:
        """Workflows of a tenant that run now."""
        return self.runner.in_flight_of(tenant)

    @property
    def _books(self) -> Books:
        if self.books is None:
            raise Elsewhere("this process has no data folder; ask one that has")
        return self.books


def services_of(request: Request) -> Services:
    """For `Depends`."""
    return cast(Services, request.app.state.services)


def _principal(request: Request) -> Principal:
    return getattr(request.state, "principal", LOCAL)


Caller = Annotated[Principal, Depends(_principal)]  # who makes this request
