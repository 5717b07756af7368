"""Requests made up from the OpenAPI document, by every role: no answer is an error of ours or leaks another tenant."""

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from guarded import Caller
from spanledger.api.app import app_with_routes
from spanledger.settings import Settings
from system import System
from tenants import ask, own_tenant

ROLES = ("ingest", "chat", "read", "admin")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# A stream does not end; the others wait for everything that the whole machine has, and take no parameters.
APART = {"stream_events", "flush", "send_canary"}
PER_OPERATION = int(os.environ.get("FUZZ_REQUESTS", "50"))  # × operations × roles: more than 20,000
SCHEMA = schemathesis.openapi.from_dict(app_with_routes(Settings()).openapi())
OPERATIONS = {
    operation.definition.raw["operationId"]: operation
    for operation in (found.ok() for found in SCHEMA.get_all_operations())
}


@pytest.fixture(scope="module")
def secret(system: System) -> Iterator[str]:
    """A word that only one tenant knows."""
    word = f"secret-{uuid.uuid4().hex}"
    with own_tenant(system) as owner:
        ask(owner, word, word, user_id=word)
        system.flush()
        yield word


@pytest.fixture(scope="module")
def callers(system: System) -> Iterator[dict[str, Caller]]:
    """A key of every role, of one tenant each."""
    with ExitStack() as stack:
        yield {role: stack.enter_context(own_tenant(system, role)) for role in ROLES}


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Its connections are used again: most of a small request is its connection."""
    with requests.Session() as opened:
        yield opened


@pytest.fixture(scope="module")
def statuses() -> Iterator[Counter[int]]:
    """Of all answers; printed at the end."""
    counted: Counter[int] = Counter()
    yield counted
    print(f"{counted.total()} requests were answered: {dict(sorted(counted.items()))}")


def _is_stream(response: Any) -> bool:
    return any("text/event-stream" in kind for kind in response.headers.get("content-type", ()))


def _try(caller: Caller, session: requests.Session, name: str, secret: str, statuses: Counter[int]) -> None:
    @given(case=OPERATIONS[name].as_strategy())
    @settings(
        max_examples=PER_OPERATION,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answered(case: Any) -> None:
        base = f"http://127.0.0.1:{caller.system.port}"
        response = case.call(base_url=base, session=session, headers=caller.headers, timeout=120)
        statuses[response.status_code] += 1
        # The schema of a stream is that of its whole text, which the check would ask of each event.
        left_out = {response_schema_conformance} if _is_stream(response) else set()
        case.validate_response(response, checks=[check for check in CHECKS if check not in left_out])
        assert secret not in response.text

    answered()


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in APART])
def test_none_of_many_requests_is_an_error_of_ours(
    callers: dict[str, Caller],
    session: requests.Session,
    secret: str,
    statuses: Counter[int],
    role: str,
    name: str,
) -> None:
    _try(callers[role], session, name, secret, statuses)
