"""Determines the tenant of a request body by its key."""

from dataclasses import dataclass

from spanledger.access.authentication import Authentication
from spanledger.access.keys import RefusedKey
from spanledger.access.roles import may_ingest
from spanledger.errors import Unauthenticated
from spanledger.ingest.answers import Answer

NOBODY_KNOWN = "?"  # a key that is none of ours


@dataclass(frozen=True)
class Sender:
    """`key_id` empty: no key was needed. `tenant` empty: the body's resource may say. `is_ours`: may tell of spans as
    our own service's."""

    key_id: str = ""
    tenant: str = ""
    is_ours: bool = False


class TurnedAway(Exception):
    """Carries the answer for a sender who may not send; `key_id` as far as it is known."""

    def __init__(self, answer: Answer, key_id: str) -> None:
        super().__init__(answer.message)
        self.answer, self.key_id = answer, key_id


class Senders:
    """The senders of one door. Without `authentication` every request is accepted."""

    def __init__(self, authentication: Authentication | None = None) -> None:
        self._authentication = authentication

    def of(self, authorization: str | None, api_key: str | None) -> Sender:
        """From the headers (or the gRPC metadata) of those names. Raises TurnedAway."""
        if self._authentication is None:
            return Sender()
        try:
            principal = self._authentication.principal(authorization, api_key)
        except RefusedKey as exc:
            raise TurnedAway(Answer(401, str(exc)), exc.key_id or NOBODY_KNOWN) from exc
        except Unauthenticated as exc:
            raise TurnedAway(Answer(401, str(exc)), "") from exc
        if not may_ingest(principal):
            answer = Answer(403, f"key {principal.key_id} has the role {principal.role}, which may not send telemetry")
            raise TurnedAway(answer, principal.key_id)
        is_admin = principal.key_id != "" and principal.role == "admin"
        is_ours = principal.has_token or is_admin
        return Sender(principal.key_id, "" if principal.operator else principal.tenant, is_ours)
