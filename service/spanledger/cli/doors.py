"""The door for commands: that of the running `up`, or the same one without a network over the data folder."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from spanledger.cli.common import opened, running_api
from spanledger.client import Api, exchange
from spanledger.errors import StoreError
from spanledger.settings import Settings

SETTLE_TIMEOUT_S = 600.0
ITEMS = {"traces": "spans", "logs": "log records", "metrics": "data points"}  # what a signal consists of
_BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class Reply:
    """The OTLP endpoint's answer to one request body. `message` explains a full or partial rejection."""

    accepted: int
    rejected: int
    message: str
    ok: bool
    come_again: bool = False  # refused for now: the same body may be taken later


Door = Callable[[str, bytes, str], Reply]  # signal, body, content type


@contextmanager
def the_door(chosen: Settings) -> Iterator[Door]:
    """Where OTLP goes in; at the end everything that went in is loaded and settled. Raises StoreError."""
    api = running_api(chosen)
    with door_of(api) if api is not None else _own_door(chosen) as door:
        yield door


@contextmanager
def door_of(api: Api) -> Iterator[Door]:
    """The door of the running `up`; at the end waits until it has loaded and settled everything."""
    from spanledger.ingest.signals import SIGNALS

    def send(signal: str, body: bytes, content_type: str) -> Reply:
        status, answer = exchange(api.otlp_url, "POST", SIGNALS[signal].path, body, content_type, api.token)
        if status != 200:
            return Reply(0, 0, _status_message(answer, content_type) or f"answered {status}", False, status in _BUSY)
        return _counted(signal, body, content_type)

    if not api.otlp_url:
        raise StoreError(f"the spanledger at {api.url} says no OTLP address; restart it")
    yield send
    api.post("/v1/flush", {})


@contextmanager
def _own_door(chosen: Settings) -> Iterator[Door]:
    """The same door without a network, over the data folder; at the end loads and settles everything."""
    from spanledger.ingest.service import Ingest
    from spanledger.ledger.ledger import Ledger

    with opened(chosen, schema="migrate") as store:
        ledger = Ledger(store, chosen)
        ingest = Ingest(chosen, store)
        ingest.start(listen=False)

        def submit(signal: str, body: bytes, content_type: str) -> Reply:
            answer = ingest.submit(signal, body, content_type)
            return Reply(answer.accepted, answer.rejected, answer.message, answer.ok, answer.status in _BUSY)

        try:
            yield submit
            if not ingest.flush(SETTLE_TIMEOUT_S):
                raise StoreError(f"not everything was loaded: {ingest.health()['last_error'] or 'it takes too long'}")
            ledger.settler.settle_now()
        finally:
            ingest.stop()


def _counted(signal: str, body: bytes, content_type: str) -> Reply:
    """What the door took of a body that it accepted; its answer only says what it did not take."""
    from spanledger.ingest import otlp_json
    from spanledger.ingest.canonical import canonical
    from spanledger.ingest.signals import SIGNALS

    kind = SIGNALS[signal]
    faults = otlp_json.Faults()
    plain = otlp_json.to_protobuf(kind, body, faults) if content_type == "application/json" else body
    clean = canonical(kind, plain)
    if clean is None:
        return Reply(0, 0, "", True)
    return Reply(clean.items, clean.rejected + faults.rejected, clean.reason or next(iter(faults.reasons), ""), True)


def _status_message(answer: bytes, content_type: str) -> str:
    if content_type == "application/json":
        try:
            return str(json.loads(answer).get("message", ""))
        except ValueError:
            return ""
    from google.protobuf.message import DecodeError
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

    try:
        return str(Status.FromString(answer).message)
    except DecodeError:
        return ""
