"""Keys: `/v1/keys`. Admins manage the keys of their tenant, the operator those of all tenants."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from spanledger.access import Principal
from spanledger.access.keys import FIRST_KEY, KeyRing
from spanledger.api.inputs import Text
from spanledger.api.listing import ListingRoute
from spanledger.api.names import Parts
from spanledger.api.parameters import KeyId
from spanledger.api.schemas.access import CreatedKey, Key
from spanledger.api.schemas.common import NO_CONTENT, Body, Items
from spanledger.errors import Refused
from spanledger.principal import Role
from spanledger.runtime.services import Caller
from spanledger.stats.times import moment, parse_time

router = APIRouter(tags=["keys"], route_class=ListingRoute)


class NewKey(Body):
    """`expires`: RFC 3339; without it the key is good until it is revoked. Without `tenant` it is the caller's."""

    role: Role
    tenant: Annotated[Text, Field(max_length=64)] | None = None
    name: Annotated[Text, Field(max_length=256)] = ""
    expires: Annotated[Text, Field(max_length=64, examples=["2027-01-01T00:00:00Z"])] | None = None


def _ring(parts: Parts) -> KeyRing:
    return parts.access.ring


Ring = Annotated[KeyRing, Depends(_ring)]


@router.post("/v1/keys", status_code=201)
def create_key(body: NewKey, ring: Ring, principal: Caller) -> CreatedKey:
    """Makes a key. The answer's `key` is shown here and never again."""
    tenant = principal.tenant if body.tenant is None else body.tenant
    if tenant != principal.tenant and not principal.operator:
        raise Refused(f"key {principal.key_id} may make keys of tenant {principal.tenant} only")
    expires = moment(parse_time(body.expires, "expires")) if body.expires else None
    first = not ring.any()
    key, text = ring.create(tenant, body.role, body.name, expires, by=principal.key_id)
    return CreatedKey.model_validate({**key.shown(), "key": text, "notice": FIRST_KEY if first else None})


@router.get("/v1/keys")
def list_keys(ring: Ring, principal: Caller) -> Items[Key]:
    """The keys, the newest first, without their secrets; revoked ones too."""
    return Items(items=[Key.model_validate(key.shown()) for key in ring.list(_scope(principal))])


@router.delete("/v1/keys/{key_id}", **NO_CONTENT)
def revoke_key(key_id: KeyId, ring: Ring, principal: Caller) -> None:
    """Ends a key at once, on every port."""
    ring.revoke(key_id, _scope(principal), by=principal.key_id)


def _scope(principal: Principal) -> str | None:
    return None if principal.operator else principal.tenant
