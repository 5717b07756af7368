"""Settings: flags, then SPANLEDGER_* environment, then a settings file, then the defaults below.

Frozen and injected, never global.
"""

import inspect
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from spanledger.errors import SettingsError

_PREFIX = "SPANLEDGER_"
FILE = "spanledger.toml"
FILE_VARIABLE = _PREFIX + "CONFIG"  # names another settings file; empty: none is read
NO_SETTINGS_FILE = {FILE_VARIABLE: ""}  # for a process that starts another with all its settings as flags
ROLES = ("ingest", "settle", "chat", "api")
_PATHS = ("data_dir", "price_book")  # in a settings file they are relative to it
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Settings:
    """One field per setting; the environment name is SPANLEDGER_ + the upper-case field name."""

    data_dir: Path = Path(".spanledger")  # where everything is kept
    host: str = "127.0.0.1"  # address of all listeners; any other than loopback needs keys
    port: int = 8000  # the HTTP API; 0 switches it off
    console: bool = True  # pages for people, at / of the HTTP API
    roles: str = ",".join(ROLES)  # which parts this process runs; on a server they may be apart
    allowed_hosts: str = ""  # more names that both HTTP ports are reached by, with commas: a proxy's; see security.md
    require_keys: bool = False  # on loopback too; elsewhere they always are
    otlp_http_port: int = 4318  # 0 switches it off
    otlp_grpc_port: int = 4317  # 0 switches it off
    clickhouse_url: str = ""  # empty: the embedded engine in data_dir
    capture_content: bool = False  # prompts and answers on spans
    telemetry_outbox_bytes: int = 64 * 1024**2  # of data_dir, for what the endpoint does not take; 0: it is dropped
    otlp_endpoint: str = ""  # where the chat service exports to; empty: the embedded endpoint
    default_model: str = "offline/small"  # of messages that name none
    model_providers: str = ""  # that may be called beside those whose keys are in the environment, with commas; *: all
    embedding_model: str = "offline/embed"  # of documents and of what is looked up in them
    mcp_commands: bool = False  # whether MCP servers may be commands when others than this machine can reach us
    mcp_private_addresses: bool = False  # whether MCP servers that an admin's key registered may be in our network
    model_timeout_s: float = 120.0  # of one call of a model, to its last byte
    durability: str = "os"  # "os" survives kill -9 of the process; "fsync" survives power loss too
    max_body_bytes: int = 64 * 1024 * 1024  # of one OTLP request, after decompression
    spool_max_bytes: int = 8 * 1024**3  # beyond this the door answers 503
    min_free_bytes: int = 256 * 1024**2  # of the disk; below this the door answers 503: ClickHouse needs room to load
    sender_requests_per_s: float = 0.0  # of one sender at each door process; beyond it 429; 0: no limit
    sender_bytes_per_s: float = 0.0  # decompressed; 0: no limit
    sender_concurrent_requests: int = 1000  # half of the connections: one sender never takes them all; 0: no limit
    mask_secrets: str = "off"  # keys and tokens in what is received: off, hash or drop; see docs/erasure.md
    mask_email: str = "off"  # off, hash or drop
    mask_phone: str = "off"  # off, hash or drop
    mask_card: str = "off"  # off, hash or drop; numbers of payment cards by their checksum
    mask_iban: str = "off"  # off, hash or drop; by its checksum
    mask_ip: str = "off"  # off, hash or drop
    mask_rules: str = ""  # YAML file of own rules: attribute keys and patterns
    retain_content_days: float = 0.0  # then texts of spans and logs, and remembered conversations, go; 0: never
    retain_raw_days: float = 0.0  # then raw spans and logs go; what the books need stays; 0: never
    retain_metrics_days: float = 0.0  # then metrics go; 0: never
    otlp_cors_origin: str = ""  # web origins whose pages may send OTLP/HTTP, with commas between, or *; empty: none
    price_book: str = ""  # YAML file of prices that go before the bundled list
    canary_interval_s: float = 900.0  # between canaries, see /readyz; 0: none
    settle_interval_ms: int = 250  # settlement polls for work at this interval when it is not woken
    settle_idle_ms: int = 30_000  # and, where it is woken by every load, in growing steps up to this when idle
    job_workers: int = 4  # jobs of one tenant that run at the same time
    seal_after_s: float = 5400.0  # a conversation seals when nothing happened in it for so long; 0: only when asked to
    seal_scan_s: float = 30.0  # how often we look for such conversations
    analysis_model: str = ""  # what a sealed conversation was about; empty: the default model; none: rules alone

    @property
    def loopback(self) -> bool:
        return self.host in LOOPBACK_HOSTS or self.host.startswith("127.")

    @property
    def needs_keys(self) -> bool:
        """Whether requests without a key are refused."""
        return self.require_keys or not self.loopback

    @property
    def masks(self) -> dict[str, str]:
        """What is done with matches of the built-in rules."""
        names = ("secrets", "email", "phone", "card", "iban", "ip")
        return {name: getattr(self, f"mask_{name}") for name in names}

    def plays(self, role: str) -> bool:
        """Whether this process runs that part."""
        return role in self.roles.split(",")

    def with_overrides(self, **values: Any) -> "Settings":
        """A copy with the values that are not None."""
        return replace(self, **{k: v for k, v in values.items() if v is not None})


@dataclass(frozen=True)
class Described:
    """A setting with its default and what the comment beside it explains."""

    name: str
    default: Any
    meaning: str


def described() -> list[Described]:
    """All settings in the order of their declaration."""
    comments = dict(re.findall(r"^    (\w+): [^#\n]*#\s*(.+)$", inspect.getsource(Settings), re.M))
    return [Described(field.name, field.default, comments[field.name]) for field in fields(Settings)]


def _convert(name: str, text: str, kind: type) -> Any:
    try:
        if kind is bool:
            lowered = text.strip().lower()
            if lowered in {"1", "true", "yes", "on"}:
                return True
            if lowered in {"0", "false", "no", "off", ""}:
                return False
            raise ValueError(text)
        return kind(text)
    except ValueError as exc:
        env = "SPANLEDGER_" + name.upper()
        raise SettingsError(f"{env}={text!r} is not a {kind.__name__}") from exc


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """SPANLEDGER_* variables that are no setting, each with the setting that is spelled most like it."""
    env = os.environ if environ is None else environ
    known = [FILE_VARIABLE, *(_PREFIX + field.name.upper() for field in fields(Settings))]
    unknown = sorted(name for name in env if name.startswith(_PREFIX) and name not in known)
    return [f"{name} is no setting{_meant(name, known)}" for name in unknown]


def _meant(name: str, known: list[str]) -> str:
    by_end = {one.removeprefix(_PREFIX): one for one in known}
    close = get_close_matches(name.removeprefix(_PREFIX), by_end, 1, 0.7)
    return f"; is {by_end[close[0]]} meant?" if close else ""


def find_file(given: Path | None = None, environ: Mapping[str, str] | None = None) -> Path | None:
    """The settings file: the given one, that of SPANLEDGER_CONFIG, or spanledger.toml in the working folder, if any."""
    if given is not None:
        return given
    named = (os.environ if environ is None else environ).get(FILE_VARIABLE)
    if named is not None:
        return Path(named) if named else None
    return Path(FILE) if Path(FILE).is_file() else None


def _of_file(file: Path) -> Iterator[tuple[str, Any]]:
    """The settings of a file. Raises SettingsError for a file, a key or a value that cannot be used."""
    import tomllib

    try:
        found = tomllib.loads(file.read_text())
    except OSError as exc:
        raise SettingsError(f"settings file {file} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise SettingsError(f"settings file {file} is not TOML: {exc}") from exc
    hints = get_type_hints(Settings)
    for name, value in found.items():
        if name not in hints:
            raise SettingsError(f"settings file {file}: {name} is no setting{_meant(name, list(hints))}")
        yield name, _of_toml(file, name, value, hints[name])


def _of_toml(file: Path, name: str, value: Any, kind: type) -> Any:
    written = {Path: str, float: (int, float)}.get(kind, kind)
    if not isinstance(value, written) or (isinstance(value, bool) and kind is not bool):  # type: ignore[arg-type]
        wanted = "text in quotes" if kind in (Path, str) else f"a {kind.__name__}"
        raise SettingsError(f"settings file {file}: {name} must be {wanted}, not {value!r}")
    if name in _PATHS and value:
        return kind(file.parent / value)
    return kind(value)


def load(environ: Mapping[str, str] | None = None, file: Path | None = None, **flags: Any) -> Settings:
    """Settings from flags (None = not given), the environment, a settings file and the defaults.

    Raises SettingsError for a value that cannot be read.
    """
    env = os.environ if environ is None else environ
    hints = get_type_hints(Settings)
    values: dict[str, Any] = dict(_of_file(file)) if file is not None else {}
    for field in fields(Settings):
        text = env.get(_PREFIX + field.name.upper())
        if text is not None:
            values[field.name] = _convert(field.name, text, hints[field.name])
    settings = Settings(**values).with_overrides(**flags)
    if settings.durability not in {"os", "fsync"}:
        raise SettingsError(f"durability must be 'os' or 'fsync', not {settings.durability!r}")
    for name in (
        "canary_interval_s",
        "sender_requests_per_s",
        "sender_bytes_per_s",
        "sender_concurrent_requests",
        "min_free_bytes",
        "telemetry_outbox_bytes",
        "retain_content_days",
        "retain_raw_days",
        "retain_metrics_days",
    ):
        if not 0 <= getattr(settings, name) < float("inf"):
            raise SettingsError(f"{name} must be 0 (no limit) or more, not {getattr(settings, name)}")
    if unknown := [role for role in settings.roles.split(",") if role not in ROLES]:
        raise SettingsError(f"roles: {unknown[0]!r} is none; there are {', '.join(ROLES)}")
    for name in ("port", "otlp_http_port", "otlp_grpc_port"):
        if not 0 <= getattr(settings, name) <= 65535:
            raise SettingsError(f"{name} must be between 0 and 65535, not {getattr(settings, name)}")
    return settings
