"""Keys: `/v1/keys`. A tenant's admins have those of their tenant, the operator of the machine those of all."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict

from spanledger.access import Principal
from spanledger.access.keys import FIRST_KEY, KeyRing
from spanledger.api.reader import only
from spanledger.errors import Refused
from spanledger.runtime.services import Caller, Services, services_of
from spanledger.stats.times import moment, parse_time

router = APIRouter(tags=["keys"])


class NewKey(BaseModel):
    """`expires`: RFC 3339; without it the key is good until it is revoked. Without `tenant` it is the caller's."""

    model_config = ConfigDict(extra="forbid")
    role: str
    tenant: str | None = None
    name: str = ""
    expires: str | None = None


def _ring(services: Annotated[Services, Depends(services_of)]) -> KeyRing:
    ring: KeyRing = services.platform.access.ring  # type: ignore[union-attr]
    return ring


Ring = Annotated[KeyRing, Depends(_ring)]


@router.post("/v1/keys", status_code=201)
def create(wish: NewKey, ring: Ring, principal: Caller) -> dict[str, Any]:
    """Makes a key. The answer's `key` is shown here and never again."""
    tenant = principal.tenant if wish.tenant is None else wish.tenant
    if tenant != principal.tenant and not principal.operator:
        raise Refused(f"key {principal.key_id} may make keys of tenant {principal.tenant} only")
    expires = moment(parse_time(wish.expires, "expires")) if wish.expires else None
    first = not ring.any()
    key, text = ring.create(tenant, wish.role, wish.name, expires, by=principal.key_id)
    return {**key.shown(), "key": text, **({"notice": FIRST_KEY} if first else {})}


@router.get("/v1/keys")
def listed(request: Request, ring: Ring, principal: Caller) -> dict[str, Any]:
    """The keys, the newest first, without their secrets; revoked ones too."""
    only(request, ())
    return {"items": [key.shown() for key in ring.list(_scope(principal))]}


@router.delete("/v1/keys/{key_id}")
def revoke(key_id: str, ring: Ring, principal: Caller) -> dict[str, Any]:
    """Ends a key at once, on every port."""
    return ring.revoke(key_id, _scope(principal), by=principal.key_id).shown()


def _scope(principal: Principal) -> str | None:
    return None if principal.operator else principal.tenant
