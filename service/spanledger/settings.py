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

    data_dir: Path = Path(".spanledger")  # folder of all data
    host: str = "127.0.0.1"  # address of all listeners; any other than loopback needs keys
    port: int = 8000  # the HTTP API; 0 switches it off
    console: bool = True  # the console's pages, at / of the HTTP API
    roles: str = ",".join(ROLES)  # the parts that this process runs; with a server each may have its own process
    allowed_hosts: str = ""  # further names of both HTTP ports, such as a proxy's, separated by commas; see security.md
    require_keys: bool = False  # require keys on loopback, too; other addresses always do
    otlp_http_port: int = 4318  # OTLP over HTTP; 0 switches it off
    otlp_grpc_port: int = 4317  # OTLP over gRPC; 0 switches it off
    clickhouse_url: str = ""  # a ClickHouse server; empty: the embedded engine in data_dir
    capture_content: bool = False  # put prompts and answers on spans of the chat service
    telemetry_outbox_bytes: int = 64 * 1024**2  # disk for own telemetry while its endpoint is away; 0: it is dropped
    otlp_endpoint: str = ""  # where the chat service sends its telemetry; empty: the embedded endpoint
    default_model: str = "offline/small"  # the model of messages that name none
    model_providers: str = ""  # providers allowed without a key in the environment, by commas; *: all
    embedding_model: str = "offline/embed"  # the model for documents and for searches in them
    mcp_commands: bool = False  # admins, not only the operator, may register MCP servers that are commands
    mcp_private_addresses: bool = False  # MCP servers that an admin's key registered may be in private networks
    model_timeout_s: float = 120.0  # limit of one model call, to its last byte
    durability: str = "os"  # "os" survives kill -9 of the process; "fsync" survives power loss too
    max_body_bytes: int = 64 * 1024 * 1024  # limit of one OTLP request, after decompression
    spool_max_bytes: int = 8 * 1024**3  # limit of the spool; beyond it the door answers 503
    min_free_bytes: int = 256 * 1024**2  # free disk space that ClickHouse needs; below it the door answers 503
    sender_requests_per_s: float = 0.0  # limit of one sender per door process; beyond it 429; 0: no limit
    sender_bytes_per_s: float = 0.0  # the same in decompressed bytes; 0: no limit
    sender_concurrent_requests: int = 1000  # requests of one sender at a time; 0: no limit
    mask_secrets: str = "off"  # API keys and tokens in received text: off, hash or drop; see docs/erasure.md
    mask_email: str = "off"  # e-mail addresses: off, hash or drop
    mask_phone: str = "off"  # phone numbers: off, hash or drop
    mask_card: str = "off"  # numbers of payment cards, by checksum: off, hash or drop
    mask_iban: str = "off"  # IBANs, by checksum: off, hash or drop
    mask_ip: str = "off"  # IP addresses: off, hash or drop
    mask_rules: str = ""  # YAML file of own masking rules: attribute keys and patterns
    retain_content_days: float = 0.0  # days until texts of spans, logs and conversations are deleted; 0: never
    retain_raw_days: float = 0.0  # days until raw spans and logs are deleted; the books stay; 0: never
    retain_metrics_days: float = 0.0  # days until metrics are deleted; 0: never
    otlp_cors_origin: str = ""  # origins of web pages that may send OTLP/HTTP, by commas, or *; empty: none
    price_book: str = ""  # YAML file of prices that take precedence over the bundled list
    read_seconds: float = 60.0  # longest time of one statement of a question to the API; 0: no limit
    tenant_objects: int = 10_000  # prompts, agents, documents … of a tenant, of each kind; 0: no limit; see security.md
    object_versions: int = 1_000  # versions of one prompt or experiment; of other kinds so many are kept; 0: no limit
    canary_interval_s: float = 900.0  # seconds between canaries, see /readyz; 0: none
    settle_interval_ms: int = 250  # how often settlement polls for work when it is not woken
    settle_idle_ms: int = 30_000  # longest pause of settlement while it is idle
    job_workers: int = 4  # jobs of one tenant that run at the same time
    seal_after_s: float = 5400.0  # idle time after which a conversation is sealed; 0: only on request
    seal_scan_s: float = 30.0  # how often idle conversations are searched for
    analysis_model: str = ""  # the model that summarises sealed conversations; empty: default_model; none: rules

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
        "tenant_objects",
        "object_versions",
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
