"""Authentication by headers, the same on every port."""

import base64
import binascii
import hmac
from collections.abc import Iterable

from spanledger.access.keys import KeyRing, RefusedKey
from spanledger.errors import Unauthenticated
from spanledger.principal import LOCAL, OURS, Principal


class Authentication:
    """`required`: requests without a key are refused; otherwise they are the operator's."""

    def __init__(self, ring: KeyRing, required: bool, operator_token: str = "") -> None:
        self.ring = ring
        self._required = required
        self._token = operator_token.encode()

    def principal(self, authorization: str | None, api_key: str | None) -> Principal:
        """Whose request this is, from the headers `Authorization` and `x-api-key`. Raises Unauthenticated.

        A key that is given must be good. Only while there are no keys at all, what does not look like one of ours is
        passed over: many clients insist on sending something.
        """
        given = set(_given(authorization, api_key))
        if len(given) > 1:
            raise RefusedKey("Authorization and x-api-key name different keys", "ambiguous")
        if not given:
            return self._without()
        text = given.pop()
        if self._token and hmac.compare_digest(text.encode("utf-8", "surrogatepass"), self._token):
            return OURS
        if not self._required and not text.startswith("sl_") and not self.ring.any():
            return LOCAL
        return self.ring.owner(text)

    def _without(self) -> Principal:
        if self._required:
            raise Unauthenticated(
                "send a key: `Authorization: Bearer …` or `x-api-key`; `spanledger keys create` makes one"
            )
        return LOCAL


def _given(authorization: str | None, api_key: str | None) -> Iterable[str]:
    if api_key is not None:
        yield api_key.strip()
    if authorization is None:
        return
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "basic":
        # Browsers ask for it by themselves and send it with everything, event streams too: the password is the key.
        yield _password(value.strip())
    else:
        yield value.strip() if scheme.lower() == "bearer" else authorization.strip()


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
