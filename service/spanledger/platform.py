"""The parts on top of the path from a message to its figures: registry, access, tools, prompts, jobs …

Built once per service and handed to the API. A part reads the books through stats/ and reports through telemetry/;
none writes the database.
"""

from dataclasses import dataclass

from spanledger.registry import Change, Registry
from spanledger.settings import Settings
from spanledger.store.client import Store
from spanledger.telemetry import Telemetry, audit
from spanledger.workflows import Gate, Step


@dataclass(frozen=True)
class Platform:
    """What routers reach as `services.platform`."""

    registry: Registry
    steps: tuple[Step, ...] = ()  # in this order: agent, experiment, profile, preferences, prompt
    gates: tuple[Gate, ...] = ()  # permissions, then limits

    def close(self) -> None:
        self.registry.close()


def build(settings: Settings, store: Store, telemetry: Telemetry) -> Platform:
    """The platform of one data folder."""
    registry = Registry(settings.data_dir)
    registry.on_change(lambda change: _tell(telemetry, change))
    return Platform(registry)


def _tell(telemetry: Telemetry, change: Change) -> None:
    after = change.after
    audit.record(
        telemetry,
        audit.AUDIT,
        f"{after.kind}.{'remove' if after.removed else 'put'}",
        "allowed",
        target=f"{after.kind}/{after.name}",
        version=after.version,
        tenant=after.tenant,
        by=after.created_by,
    )
