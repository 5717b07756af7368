"""What the routers need, made by whoever starts the service and reached through the request."""

from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from spanledger.access import LOCAL, Principal
from spanledger.settings import Settings
from spanledger.telemetry import Telemetry
from spanledger.workflows import Runner


@dataclass(frozen=True)
class Services:
    """The parts of one running service. None: this process does not run that part (tests of the others)."""

    settings: Settings
    telemetry: Telemetry
    runner: Runner
    store: Any | None = None  # spanledger.store.client.Store
    ledger: Any | None = None  # spanledger.ledger.ledger.Ledger
    ingest: Any | None = None  # spanledger.ingest.service.Ingest
    platform: Any | None = None  # spanledger.platform.Platform
    live: Any | None = None  # spanledger.live.Live
    canaries: Any | None = None  # spanledger.canaries.Canaries
    sandboxes: Any | None = None  # spanledger.stats.sandbox.pool.Sandboxes
    stalls: Any | None = None  # spanledger.runtime.stalls.Stalls

    def in_flight(self, tenant: str) -> int:
        """Workflows of a tenant that run now."""
        return self.runner.in_flight_of(tenant)


def services_of(request: Request) -> Services:
    """For `Depends`."""
    return cast(Services, request.app.state.services)


def _principal(request: Request) -> Principal:
    return getattr(request.state, "principal", LOCAL)


Caller = Annotated[Principal, Depends(_principal)]  # who makes this request
