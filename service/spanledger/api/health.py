"""Health checks and actions of operators: `/healthz`, `/readyz`, `/v1/flush`, `/v1/canary`."""

import shutil
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query

import spanledger
from spanledger.api.problems import problem
from spanledger.api.reader import AppServices
from spanledger.api.schemas.common import Problem
from spanledger.api.schemas.operations import Alive, Canary, Flushed, Readiness
from spanledger.errors import StoreError, public_message
from spanledger.ledger import audit_record
from spanledger.runtime.services import Services
from spanledger.telemetry import Part

router = APIRouter(tags=["operations"])

_FLUSH_TIMEOUT_S = 600.0

Only = Annotated[
    Part | None,
    Query(
        description="`books`: what figures need; spans and audit entries of requests that only read may wait. `spans`: "
        "without a measurement of our own metrics. Both are quicker."
    ),
]


@router.get("/healthz")
async def get_health() -> Alive:
    """The process answers."""
    return Alive(status="alive", version=spanledger.__version__)


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Problem}})
def get_readiness(services: AppServices) -> Any:
    """Whether it can take traffic; 503 names what is wrong."""
    try:
        ingest, settlement = services.ingest.health(), services.ledger.health()
    except OSError as exc:  # the spool's folder is not what it was
        problems = [text for text in (f"spool: {exc.strerror}", _store(services), _canary(services)) if text]
        return problem(503, "Not ready", "; ".join(problems), problems=problems)
    problems = [
        text for text in (_store(services), _door(services, ingest), _disk(services), _canary(services)) if text
    ]
    state = {
        "problems": problems,
        "version": spanledger.__version__,
        "lag_ms": max(ingest["lag_ms"], settlement["lag_ms"]),
        "spool_bytes": ingest["spool_bytes"],
        "spool_segments": ingest["spool_segments"],
        "canary": services.canaries.last,
        "ingest": ingest,
        "settlement": settlement,
        "telemetry_dropped": services.telemetry.dropped(),
        "analysis": _analysis(services),
        "telemetry_waiting_bytes": services.telemetry.waiting_bytes(),
        "live": services.live.health() if services.live is not None else None,
        "loop": services.stalls.health() if services.stalls is not None else None,
        "last_audit": _last_audit(services),
    }
    if problems:
        return problem(503, "Not ready", "; ".join(problems), **state)
    return Readiness.model_validate({"status": "ready", **state})


@router.post("/v1/flush")
def flush(services: AppServices, only: Only = None) -> Flushed:
    """Returns when everything that has been emitted here or acknowledged is loaded and settled."""
    started = time.monotonic()
    if only != "books":
        _load(services)
        services.platform.access.reports.finish()  # the OTLP endpoint's processes have reported their senders by now
    services.telemetry.flush(only=only)
    _load(services)
    services.ledger.settler.settle_now()
    return Flushed(flushed=True, took_ms=round((time.monotonic() - started) * 1000))


def _load(services: Services) -> None:
    if not services.ingest.flush(_FLUSH_TIMEOUT_S):
        error = services.ingest.health()["last_error"]
        raise StoreError(f"not everything could be loaded: {error or 'it takes too long'}")


@router.post("/v1/canary")
async def send_canary(services: AppServices) -> Canary:
    """Sends a span through the door and reads it back, and runs a small workflow; says how long both took."""
    return Canary.model_validate(await services.canaries.sing())


def _analysis(services: Services) -> dict[str, int]:
    """What the live pass, the sealing and the evaluations did since the start, and what they could not."""
    live, sealer = services.platform.live_pass, services.platform.sealer
    return {
        "messages_dropped": live.dropped,
        "messages_failed": live.failed,
        "sealed": sealer.sealed,
        "seals_failed": sealer.failed,
        "evaluations_dropped": services.platform.automatic.dropped,
    }


def _last_audit(services: Services) -> dict[str, Any] | None:
    """Without its window and tenant, because readiness needs no key."""
    record = audit_record.read(services.settings.data_dir)
    if record is None:
        return None
    return {"at": record.at, "balanced": record.balanced, "differences": record.differences}


def _store(services: Services) -> str:
    try:
        services.store.scalar("SELECT 1")
    except StoreError as exc:
        return f"store: {public_message(exc)}"
    return ""


def _door(services: Services, health: dict[str, Any]) -> str:
    if services.ingest.endpoint and not health["workers_alive"]:
        return "ingest: no worker accepts OTLP; another is being started"
    return ""


def _canary(services: Services) -> str:
    return services.canaries.problem


def _disk(services: Services) -> str:
    free = shutil.disk_usage(services.settings.data_dir).free
    if free < services.settings.min_free_bytes:
        return f"disk: only {free >> 20} MiB are free at {services.settings.data_dir}"
    return ""
