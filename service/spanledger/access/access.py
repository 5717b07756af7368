"""Access control of one data folder: authentication, permissions, limits, and their audit trail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spanledger.access import operator
from spanledger.access.authentication import Authentication
from spanledger.access.door import DoorWatch
from spanledger.access.gate import LimitGate
from spanledger.access.keys import KeyRing
from spanledger.access.limits import LimitBook
from spanledger.access.reports import Reports
from spanledger.settings import Settings
from spanledger.store.client import Store
from spanledger.store.registry import Registry
from spanledger.telemetry import Telemetry

Senders = Callable[[], Mapping[str, int]]  # requests at the OTLP door since the start, by `<key id>/<HTTP status>`


@dataclass(frozen=True)
class Access:
    """What routers reach as `services.platform.access`."""

    ring: KeyRing
    authentication: Authentication
    reports: Reports
    limits: LimitBook
    gate: LimitGate
    seal_secret: str

    def close(self) -> None:
        self.reports.close()


def build(settings: Settings, registry: Registry, store: Store, telemetry: Telemetry, senders: Senders) -> Access:
    ring = KeyRing(registry)
    reports = Reports(telemetry)
    reports.watch(DoorWatch(ring, reports, senders).look)
    reports.start()
    token = operator.read(settings.data_dir)
    limits = LimitBook(registry)
    return Access(
        ring=ring,
        authentication=Authentication(ring, settings.needs_keys, token),
        reports=reports,
        limits=limits,
        gate=LimitGate(limits, store, telemetry),
        seal_secret=operator.seal_secret(settings.data_dir),
    )
