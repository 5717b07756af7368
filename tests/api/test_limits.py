"""Limits and budgets, over HTTP: enforced before the call, from the books, also when many come at once."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from guarded import Caller, make_key
from otlp_make import trace_request
from system import System


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("limits") / "data").start()
    system.timeout_s = 180  # fifty at once take their time on a busy machine
    yield system
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()


@pytest.fixture
def tenant(limited: System) -> Caller:
    """An admin of a tenant of its own."""
    return Caller(limited, make_key(limited.data_dir, f"t-{uuid.uuid4().hex[:12]}", "admin"))


def put(caller: Caller, name: str, **limit: Any) -> Any:
    status, answer = caller.call("PUT", f"/v1/limits/{name}", limit)
    assert status == 200, answer
    return answer


def usage_of(caller: Caller, name: str) -> Any:
    """What is used of a limit, by subject."""
    return {one["subject"]: one for one in caller.get("limits", name)["usage"]}


def tokens(reply: Any) -> int:
    used: int = reply["usage"]["total_tokens"]
    return used


def test_a_budget_in_tokens_refuses_the_call_that_does_not_fit(tenant: Caller) -> None:
    put(tenant, "day", scope="user", match="ann", tokens_per_day=700)
    status, first = tenant.say("c", "hello", user_id="ann")  # reserves 500 for an answer of unknown length
    assert status == 200
    status, problem = tenant.say("c", "And now say 600 words about that, please.", user_id="ann")
    while status == 200:  # a few fit
        status, problem = tenant.say("c", "And again.", user_id="ann")
    assert (status, problem["title"], problem["limit"]) == (402, "Limit exceeded", "day")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert problem["reset_at"] == midnight.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert tenant.say("c", "hello", user_id="bob")[0] == 200
    used = usage_of(tenant, "day")["ann"]["tokens_per_day"]
    assert 700 - 600 < used["used"] <= 700 + 600
    assert used["reset_at"] == problem["reset_at"]
    assert tokens(first) <= used["used"]


def test_a_request_that_says_how_long_the_answer_may_be_reserves_no_more(tenant: Caller) -> None:
    put(tenant, "day", scope="tenant", tokens_per_day=100)
    body = {"messages": [{"role": "user", "content": "hi"}]}
    assert tenant.call("POST", "/v1/chat/completions", body)[0] == 402
    assert tenant.call("POST", "/v1/chat/completions", {**body, "max_tokens": 20})[0] == 200


def test_a_rate_is_refused_with_the_time_to_come_again(tenant: Caller) -> None:
    put(tenant, "rate", scope="key", requests_per_minute=2)
    assert [tenant.say("c", "hi")[0] for _ in range(2)] == [200, 200]
    body = json.dumps({"content": "hi"}).encode()
    given = {"Content-Type": "application/json", **tenant.headers}
    status, headers, problem = tenant.system.request("POST", "/v1/conversations/c/messages", body, **given)
    assert (status, problem["limit"]) == (429, "rate")
    assert 1 <= int(headers["retry-after"]) <= 60
    assert datetime.fromisoformat(problem["reset_at"]) > datetime.now(UTC)
    (told,) = usage_of(tenant, "rate").values()
    assert datetime.fromisoformat(told["requests_per_minute"]["reset_at"]) > datetime.now(UTC)
    assert tenant.say("c", "hi", stream=True)[0] == 429  # as a status, not as an event in a stream


def test_openais_client_is_told_in_its_own_words(tenant: Caller) -> None:
    put(tenant, "rate", scope="tenant", requests_per_minute=0)
    url = f"http://127.0.0.1:{tenant.system.port}/v1"
    with openai.OpenAI(base_url=url, api_key=tenant.key, max_retries=0) as client:
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model="offline/small", messages=[{"role": "user", "content": "hi"}])
        assert refused.value.code == "rate_limit_exceeded"
        put(tenant, "rate", scope="tenant", usd_per_month="0")
        with pytest.raises(openai.APIStatusError) as broke:
            client.chat.completions.create(model="offline/small", messages=[{"role": "user", "content": "hi"}])
        assert (broke.value.status_code, broke.value.code) == (402, "insufficient_quota")


@pytest.mark.parametrize("scope", ["tenant", "user", "key", "workflow"])
def test_fifty_at_once_exceed_a_budget_by_less_than_one_call_each(tenant: Caller, scope: str) -> None:
    """Each answer takes more than what is reserved for one of unknown length."""
    budget = Decimal("0.0040")
    put(tenant, "cents", scope=scope, usd_per_day=str(budget))
    asked = "Tell me something in 700 words"
    with ThreadPoolExecutor(50) as crowd:
        answers = list(crowd.map(lambda n: tenant.say(f"c{n}", asked, user_id="crowd"), range(50)))
    costs = [Decimal(answer["usage"]["cost_usd"]) for status, answer in answers if status == 200]
    assert {status for status, _ in answers} == {200, 402}
    assert budget - 2 * max(costs) < sum(costs) < budget + len(costs) * max(costs)
    reserved = Decimal("0.0003")  # what the estimate of one call comes to
    assert len(costs) <= budget / reserved + 1  # however many came: no more run at once than fit by their estimates
    assert all(tenant.say("late", asked, user_id="crowd")[0] == 402 for _ in range(3))  # and nothing after them
    tenant.flush()
    (used,) = usage_of(tenant, "cents").values()
    assert Decimal(used["usd_per_day"]["used"]) == sum(costs)  # when the books have it all: the same to the last digit


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[System]:
    """A system of its own, to be killed."""
    system = System(tmp_path / "data").start()
    system.timeout_s = 180  # it loads the workflows twice
    yield system
    assert system.stop() == 0


def test_budgets_survive_a_kill_because_the_books_do(killed: System) -> None:
    tenant = Caller(killed, make_key(killed.data_dir, "acme", "admin"))
    put(tenant, "day", scope="user", tokens_per_day=550)
    assert [tenant.say("c", "hello", user_id="ann")[0] for _ in range(2)] == [200, 402]
    before = usage_of(tenant, "day")["ann"]["tokens_per_day"]["used"]
    tenant.flush()
    killed.kill()
    killed.start()
    assert usage_of(tenant, "day")["ann"]["tokens_per_day"]["used"] == before > 0
    assert tenant.say("c", "hello", user_id="ann")[0] == 402


def test_what_other_applications_send_counts_too(tenant: Caller) -> None:
    put(tenant, "month", scope="user", match="ann", usd_per_month="1")
    call = {
        "name": "chat gpt-4o",
        "kind": 3,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.id": uuid.uuid4().hex,
            "gen_ai.usage.input_tokens": 1_000_000,
            "gen_ai.usage.output_tokens": 0,
            "user.id": "ann",
        },
    }
    assert tenant.say("c", "hello", user_id="ann")[0] == 200
    assert tenant.send(trace_request(call).SerializeToString()) == 200
    tenant.flush()
    status, problem = tenant.say("c", "hello", user_id="ann")
    while status == 200:  # the last look at the books may be a second old
        status, problem = tenant.say("c", "hello", user_id="ann")
    assert (status, problem["limit"]) == (402, "month")


def test_every_user_of_a_pattern_has_the_amount_for_itself(tenant: Caller) -> None:
    put(tenant, "guests", scope="user", match="guest-*", requests_per_minute=1)
    assert [tenant.say("c", "hi", user_id=user)[0] for user in ("guest-1", "guest-2", "guest-1")] == [200, 200, 429]
    assert [tenant.say("c", "hi", user_id="member")[0] for _ in range(2)] == [200, 200]
    put(tenant, "nameless", scope="user", match="*", requests_per_minute=0)
    assert tenant.say("c", "hi")[0] == 429  # leaving the user away is no way around


def test_a_limit_that_warns_tells_and_lets_through(tenant: Caller) -> None:
    put(tenant, "soft", scope="tenant", tokens_per_day=1, action="warn")
    assert [tenant.say("c", "hi")[0] for _ in range(2)] == [200, 200]
    tenant.flush()
    (entry,) = tenant.get("audit-log", action="limit.tokens_per_day")["items"]
    assert (entry["event"], entry["outcome"]) == ("spanledger.limit_exceeded", "allowed")


def test_a_refusal_is_an_event_and_a_failed_span_and_no_call(tenant: Caller) -> None:
    put(tenant, "none", scope="tenant", tokens_per_day=0)
    status, problem = tenant.say("c", "hi", user_id="ann")
    assert status == 402
    tenant.flush("spans")
    (entry,) = tenant.get("audit-log", action="limit.tokens_per_day")["items"]
    assert (entry["event"], entry["action"], entry["outcome"], entry["actor"]) == (
        "spanledger.limit_exceeded",
        "limit.tokens_per_day",
        "denied",
        tenant.key_id,
    )
    assert entry["facts"]["limit"] == "none"
    assert entry["correlation_id"] == problem["correlation_id"]
    (span,) = tenant.get("correlations", problem["correlation_id"])["spans"]
    assert (span["status"], span["error_type"]) == ("error", "insufficient_quota")
    assert tenant.get("usage")["usage"]["llm_calls"] == tenant.get("usage")["usage"]["failed_calls"] == 0


def test_who_runs_the_machine_limits_a_whole_tenant(limited: System, tenant: Caller) -> None:
    operator = Caller(limited, "")
    name = f"of-{tenant.key_id}"
    mine = next(key["tenant"] for key in tenant.get("keys")["items"])
    put(operator, name, scope="tenant", match=mine, requests_per_minute=1)
    assert [tenant.say("c", "hi")[0] for _ in range(2)] == [200, 429]
    (seen,) = tenant.get("limits")["items"]
    assert (seen["name"], seen["set_by"]) == (name, "operator")
    assert tenant.call("DELETE", f"/v1/limits/{name}")[0] == 404  # it is not the tenant's to take away
    assert operator.call("DELETE", f"/v1/limits/{name}")[0] == 204
    assert tenant.say("c", "hi")[0] == 200


def test_limits_are_of_their_tenant(limited: System, tenant: Caller) -> None:
    other = Caller(limited, make_key(limited.data_dir, f"o-{uuid.uuid4().hex[:12]}", "admin"))
    put(tenant, "none", scope="tenant", requests_per_minute=0)
    put(tenant, "users", scope="user", match="*", requests_per_minute=0)
    assert other.say("c", "hi", user_id="ann")[0] == 200
    assert other.get("limits") == {"items": []}
    assert other.call("GET", "/v1/limits/none")[0] == 404


def test_a_limit_changes_and_goes(tenant: Caller) -> None:
    assert put(tenant, "day", scope="tenant", requests_per_minute=0)["version"] == 1
    assert tenant.say("c", "hi")[0] == 429
    assert put(tenant, "day", scope="tenant", requests_per_minute=5)["version"] == 2
    assert tenant.say("c", "hi")[0] == 200
    shown = tenant.get("limits", "day")
    assert (shown["requests_per_minute"], shown["match"], shown["action"]) == (5, "*", "block")
    assert tenant.call("DELETE", "/v1/limits/day")[0] == 204
    assert tenant.call("DELETE", "/v1/limits/day")[0] == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"scope": "planet", "tokens_per_day": 1},
        {"scope": "user"},
        {"scope": "user", "usd_per_day": "-1"},
        {"scope": "user", "usd_per_day": "NaN"},
        {"scope": "user", "usd_per_day": "1e40"},
        {"scope": "user", "tokens_per_day": 1.5},
        {"scope": "user", "tokens_per_day": 1, "action": "explode"},
        {"scope": "user", "tokens_per_dya": 1},
    ],
)
def test_a_limit_that_says_nothing_usable_is_refused(tenant: Caller, wrong: dict[str, Any]) -> None:
    assert tenant.call("PUT", "/v1/limits/x", wrong)[0] in {400, 422}
