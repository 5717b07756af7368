"""Keys: shown once when they are made, kept as a hash, known at once to every process of the data folder.

sl_<id>_<secret>        the id is public (logs, lists, revocation), the secret is 32 random bytes
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, cast, get_args

from spanledger.errors import BadRequest, NotFound, Unauthenticated
from spanledger.principal import Principal, Role
from spanledger.store.registry import Entry, Registry

KIND = "key"
ROLES: tuple[Role, ...] = get_args(Role)
_FORM = re.compile(r"sl_([a-z2-7]{12})_([A-Za-z0-9_-]{43})")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # no slash: `tenant/conversation` must stay unambiguous
_MAX_NAME = 100
_NO_HASH = "0" * 64
FIRST_KEY = (
    "this is the first key: from now on every key that is sent must be good, where before any text was passed over; "
    "requests without a key are served as before unless --require-keys or --host says otherwise"
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. `expires_at` None: never; `created_by`: a key id, empty = on this machine."""

    key_id: str
    tenant: str
    role: Role
    name: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    hash: str

    @property
    def principal(self) -> Principal:
        return Principal(self.tenant, self.key_id, self.role)

    def shown(self) -> dict[str, Any]:
        """As people and the API see it."""
        facts = {name: value for name, value in asdict(self).items() if name != "hash"}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in facts.items()}


class RefusedKey(Unauthenticated):
    """A key was given that is not good. `reason`: unknown, ambiguous, revoked or expired; those have an owner."""

    def __init__(self, message: str, reason: str, tenant: str = "", key_id: str = "") -> None:
        super().__init__(message)
        self.reason, self.tenant, self.key_id = reason, tenant, key_id


def _now() -> datetime:
    return datetime.now(UTC)


class KeyRing:
    """The keys of a data folder. Thread-safe; each check sees what any process has changed before."""

    def __init__(self, registry: Registry, clock: Callable[[], datetime] = _now) -> None:
        self._registry = registry
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}

    def any(self) -> bool:
        """Whether there are keys that are not revoked."""
        return any(key.revoked_at is None for key in self._current().values())

    def owner(self, text: str) -> Principal:
        """Who holds this key. Raises RefusedKey."""
        match = _FORM.fullmatch(text)
        key = self._current().get(match[1]) if match else None
        good = hmac.compare_digest(_hash(text), key.hash if key else _NO_HASH)
        if key is None or not good:
            raise RefusedKey("this key is not known here", "unknown")
        if key.revoked_at is not None:
            raise RefusedKey(f"key {key.key_id} was revoked", "revoked", key.tenant, key.key_id)
        if key.expires_at is not None and key.expires_at <= self._clock():
            raise RefusedKey(f"key {key.key_id} has expired", "expired", key.tenant, key.key_id)
        return key.principal

    def holder(self, key_id: str) -> Principal | None:
        """Who holds the key with this id; None when it is not good any more."""
        key = self._current().get(key_id)
        if key is None or key.revoked_at is not None:
            return None
        return None if key.expires_at is not None and key.expires_at <= self._clock() else key.principal

    def list(self, tenant: str | None) -> list[Key]:
        """The keys of a tenant, or of all (None), the newest first, revoked ones too."""
        keys = [key for key in self._current().values() if tenant in (None, key.tenant)]
        return sorted(keys, key=lambda key: key.created_at, reverse=True)

    def create(
        self, tenant: str, role: str, name: str = "", expires_at: datetime | None = None, by: str = ""
    ) -> tuple[Key, str]:
        """A new key and its text, which is not stored. Raises BadRequest."""
        if role not in ROLES:
            raise BadRequest(f"role={role!r} is unknown; it can be {', '.join(ROLES)}")
        if len(name) > _MAX_NAME or not name.isprintable():
            raise BadRequest(f"the name of a key may have {_MAX_NAME} printable characters")
        if expires_at is not None and expires_at <= self._clock():
            raise BadRequest(f"expires={expires_at.isoformat()} is past")
        checked_tenant(tenant)
        key_id = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(12))
        text = f"sl_{key_id}_{secrets.token_urlsafe(32)}"
        body = {
            "role": role,
            "name": name,
            "created_at": self._clock().isoformat(),
            "created_by": by,
            "expires_at": expires_at.isoformat() if expires_at else None,
            "hash": _hash(text),
        }
        return _key(self._registry.put(tenant, KIND, key_id, body, by)), text

    def revoke(self, key_id: str, tenant: str | None, by: str = "") -> Key:
        """Ends a key of `tenant`, or of any (None). Raises NotFound."""
        key = self._current().get(key_id)
        if key is None or tenant not in (None, key.tenant):
            raise NotFound(f"there is no key {key_id[:40]!r}")
        self._registry.remove(key.tenant, KIND, key_id, by)
        return self._current()[key_id]

    def _current(self) -> dict[str, Key]:
        state = self._registry.state()
        if state != self._seen:
            self._keys = {entry.name: _key(entry) for entry in self._registry.newest(KIND)}
            self._seen = state
        return self._keys


def checked_tenant(name: str) -> str:
    """Raises BadRequest for a name that no tenant can have."""
    if not _TENANT.fullmatch(name):
        raise BadRequest(f"a tenant has 1 to 64 letters, digits, dots, dashes and underscores, not {name[:80]!r}")
    return name


def _hash(text: str) -> str:
    # 32 random bytes cannot be guessed: a slow hash would only slow the door down.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _key(entry: Entry) -> Key:
    body = entry.body
    expires = body.get("expires_at")
    return Key(
        key_id=entry.name,
        tenant=entry.tenant,
        role=cast(Role, body["role"]),
        name=str(body["name"]),
        created_at=datetime.fromisoformat(body["created_at"]),
        created_by=str(body["created_by"]),
        expires_at=datetime.fromisoformat(expires) if expires else None,
        revoked_at=entry.created_at if entry.removed else None,
        hash=str(body["hash"]),
    )
