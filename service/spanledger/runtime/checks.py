"""Checks that run before anything is started."""

from contextlib import closing
from pathlib import Path

from spanledger.access.keys import KeyRing
from spanledger.errors import SettingsError
from spanledger.settings import ROLES, Settings
from spanledger.store.registry import FILE as REGISTRY_FILE
from spanledger.store.registry import Registry


def refuse_open_host(settings: Settings) -> None:
    """Refuses an address beyond loopback while there are no keys. Raises SettingsError."""
    if not settings.needs_keys or has_keys(settings.data_dir):
        return
    cause = "--require-keys" if settings.loopback else f"--host {settings.host} would let others in, and it"
    raise SettingsError(
        f"{cause} needs keys, and there are no keys; make one with `spanledger keys create --tenant default "
        f"--role admin --data-dir {settings.data_dir}`, or stay on 127.0.0.1 (default)"
    )


def has_keys(data_dir: Path) -> bool:
    """Looks without creating the folder."""
    if not (data_dir / REGISTRY_FILE).exists():
        return False
    with closing(Registry(data_dir)) as found:
        return KeyRing(found).any()


def check_roles(settings: Settings) -> None:
    """Raises SettingsError for parts that would not reach each other."""
    if all(settings.plays(role) for role in ROLES):
        return
    if not settings.clickhouse_url and not all(settings.plays(role) for role in ("ingest", "settle", "api")):
        raise SettingsError(
            "the embedded engine has one process: only chat may be left out (--roles ingest,settle,api); to run roles "
            "apart give a server with --clickhouse-url"
        )
    if settings.plays("chat") and not settings.plays("ingest") and not settings.otlp_endpoint:
        raise SettingsError(
            "chat without ingest has nowhere to send its spans; set SPANLEDGER_OTLP_ENDPOINT to a Collector or to a "
            "process with the ingest role, for example http://127.0.0.1:4318"
        )
