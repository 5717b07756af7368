"""The key ring by itself: time, and names of tenants."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spanledger.access import LOCAL, Principal
from spanledger.access.authentication import Authentication
from spanledger.access.keys import KeyRing, RefusedKey
from spanledger.errors import BadRequest, Unauthenticated
from spanledger.principal import OURS
from spanledger.store.registry import Registry

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(tmp_path: Path, clock: Clock) -> Iterator[KeyRing]:
    registry = Registry(tmp_path)
    yield KeyRing(registry, clock)
    registry.close()


def test_a_key_expires_at_its_moment(ring: KeyRing, clock: Clock) -> None:
    key, text = ring.create("acme", "read", expires_at=NOON + timedelta(hours=1))
    clock.now = NOON + timedelta(minutes=59)
    assert ring.owner(text) == Principal("acme", key.key_id, "read")
    clock.now = NOON + timedelta(hours=1)
    with pytest.raises(RefusedKey) as refused:
        ring.owner(text)
    assert (refused.value.reason, refused.value.tenant, refused.value.key_id) == ("expired", "acme", key.key_id)


def test_a_revoked_key_stays_known_as_such(ring: KeyRing) -> None:
    key, text = ring.create("acme", "admin", by="k1")
    ended = ring.revoke(key.key_id, "acme", by="k2")
    assert (ended.created_at, ended.created_by, ended.revoked_at is not None) == (key.created_at, "k1", True)
    with pytest.raises(RefusedKey) as refused:
        ring.owner(text)
    assert refused.value.reason == "revoked"
    assert not ring.any()


@pytest.mark.parametrize("tenant", ["", "a/b", "../x", "a b", ".hidden", "x" * 65, "tenant\n", "ä", "a'b"])
def test_a_tenants_name_is_plain(ring: KeyRing, tenant: str) -> None:
    with pytest.raises(BadRequest):
        ring.create(tenant, "read")


def test_another_process_sees_a_change_at_once(ring: KeyRing, tmp_path: Path) -> None:
    assert not ring.any()
    other = Registry(tmp_path)
    _, text = KeyRing(other).create("acme", "ingest")
    assert ring.owner(text).tenant == "acme"
    other.close()


def test_foreign_credentials_are_passed_over_only_while_there_are_no_keys(ring: KeyRing) -> None:
    door = Authentication(ring, required=False, operator_token="op_secret")
    assert door.principal("Bearer sk-something", None) == LOCAL
    assert door.principal("Bearer op_secret", None) == OURS
    with pytest.raises(RefusedKey):
        door.principal("Bearer sl_something", None)
    ring.create("acme", "read")
    with pytest.raises(RefusedKey):
        door.principal("Bearer sk-something", None)
    assert door.principal(None, None) == LOCAL
    with pytest.raises(Unauthenticated):
        Authentication(ring, required=True).principal(None, None)
