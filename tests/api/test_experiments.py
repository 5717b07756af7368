"""A/B tests: who gets which variant, on whose spans it stands, and what the variants came to."""

import itertools
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guarded import Caller
from spanledger.configuration import Variant, assigned
from system import System
from tenants import ask, own_tenant, put, refused

MODELS = [{"name": "small", "model": "offline/small"}, {"name": "large", "model": "offline/large"}]


@pytest.fixture(scope="module")
def tenant(system: System) -> Iterator[Caller]:
    with own_tenant(system) as caller:
        yield caller


@pytest.fixture
def name(tenant: Caller) -> Iterator[str]:
    """A name for the test's experiment, which ends with the test: two at once would be in each other's way."""
    made = f"e-{uuid.uuid4().hex[:10]}"
    yield made
    tenant.call("DELETE", f"/v1/experiments/{made}")


def run(tenant: Caller, user: str, **more: Any) -> dict[str, Any]:
    return ask(tenant, f"c-{uuid.uuid4().hex[:10]}", user_id=user, **more)


def one_of_each(tenant: Caller, name: str, variants: list[str]) -> Iterator[str]:
    """A user of each variant."""
    left = set(variants)
    for number in itertools.count():
        user = f"{name}-{number}"
        variant = tenant.get("experiments", name, "assignment", user_id=user)["variant"]
        if variant in left:
            left.remove(variant)
            yield user
        if not left:
            return


def test_a_user_gets_the_same_variant_always_and_it_stands_on_every_span_and_in_the_books(
    tenant: Caller, name: str
) -> None:
    put(tenant, f"/v1/experiments/{name}", {"status": "running", "variants": MODELS})
    seen: dict[str, set[str]] = {}
    for user in [f"{name}-{i}" for i in range(6)] * 2:
        answer = run(tenant, user)
        seen.setdefault(user, set()).add(answer["model"])
        told = tenant.get("experiments", name, "assignment", user_id=user)
        assert told["variant"] == answer["model"]
    assert all(len(models) == 1 for models in seen.values())

    tenant.flush()
    spans = tenant.get("traces", answer["trace_id"])["spans"]
    assert len(spans) >= 4
    for span in spans:
        assert span["attributes"]["spanledger.experiment"] == name, span["name"]
        assert span["attributes"]["spanledger.variant"] == answer["model"], span["name"]
    groups = tenant.get("usage", group_by="variant")["groups"]
    calls = {g["variant"]: g["usage"]["llm_calls"] for g in groups if g["variant"].startswith(name)}
    expected = Counter(f"{name}/{model}" for models in seen.values() for model in models for _ in range(2))
    assert calls == dict(expected)


def test_users_are_dealt_by_weight_and_a_changed_weight_moves_only_those_it_must() -> None:
    users = [f"user-{i}" for i in range(20_000)]

    def deal(*weights: float) -> dict[str, str]:
        variants = [Variant(name, weight) for name, weight in zip("abc", weights, strict=False)]
        return {user: assigned("salt", variants, user).name for user in users}

    before = deal(1, 1)
    share = Counter(before.values())["b"] / len(users)
    assert 0.48 < share < 0.52
    after = deal(1, 3)
    assert 0.73 < Counter(after.values())["b"] / len(users) < 0.77
    moved = {(before[user], after[user]) for user in users if before[user] != after[user]}
    assert moved == {("a", "b")}
    third = deal(1, 1, 1)
    assert {third[user] for user in users if before[user] != third[user]} == {"c"}
    assert deal(1, 1, 0) == before
    reordered = [Variant("b", 1), Variant("a", 1)]
    assert all(assigned("salt", reordered, user).name == before[user] for user in users[:500])
    other = sum(assigned("another", reordered, user).name == before[user] for user in users)
    assert 0.48 < other / len(users) < 0.52, "two experiments deal independently of each other"


def test_results_tell_the_variants_apart(tenant: Caller, name: str) -> None:
    put(tenant, f"/v1/experiments/{name}", {"status": "running", "variants": MODELS})
    bills: dict[str, list[float]] = {"small": [], "large": []}
    for person in range(24):
        answer = run(tenant, f"{name}-{person}", content=f"question {person} in 40 words")
        bills[answer["model"]].append(float(answer["usage"]["cost_usd"]))
        score = {"score": 0.9 - person / 100 if answer["model"] == "large" else 0.2 + person / 100}
        assert tenant.call("POST", f"/v1/messages/{answer['message_id']}/feedback", score)[0] == 202
    assert min(map(len, bills.values())) >= 2, "the users' names deal them so"
    tenant.flush()

    results = tenant.get("experiments", name, "results")
    small, large = results["variants"]
    assert (results["baseline"], small["variant"], large["variant"]) == ("small", "small", "large")
    for found in (small, large):
        bill = bills[found["variant"]]
        assert (found["users"], found["runs"], found["failures"]) == (len(bill), len(bill), 0)
        assert float(found["total_cost_usd"]) == pytest.approx(sum(bill))
        assert found["cost_per_run_usd"]["mean"] == pytest.approx(sum(bill) / len(bill))
        assert found["latency_ms"]["low"] < found["latency_ms"]["mean"] < found["latency_ms"]["high"]
        assert found["feedback"]["count"] == len(bill)
    assert small["against_baseline"] == {}
    compared = large["against_baseline"]
    assert set(compared) == {"cost_per_run_usd", "latency_ms", "tokens_per_run", "feedback", "failed_users"}
    assert compared["cost_per_run_usd"]["difference"] > 0
    assert compared["cost_per_run_usd"]["p_value"] < 0.01
    assert compared["feedback"]["p_value"] < 0.001
    assert compared["failed_users"]["p_value"] == 1.0
    ratio = results["sample_ratio"]
    assert ratio["expected"] == {"small": 0.5, "large": 0.5}
    assert ratio["observed"] == {name: len(bill) for name, bill in bills.items()}
    assert not ratio["suspicious"]
    assert results["users_in_several_variants"] == 0


def test_failures_count_for_their_variant(tenant: Caller, name: str) -> None:
    broken = [{"name": "fine"}, {"name": "broken", "model": "offline/error-400"}]
    put(tenant, f"/v1/experiments/{name}", {"status": "running", "variants": broken})
    for person in range(16):
        tenant.say(f"c-{name}-{person}", "hello", user_id=f"{name}-{person}")
    tenant.flush()
    fine, failed = tenant.get("experiments", name, "results")["variants"]
    assert fine["failures"] == 0
    assert 0 < failed["failures"] == failed["runs"] == 16 - fine["runs"]
    assert failed["failure_share"] == 1.0
    assert failed["against_baseline"]["failed_users"]["p_value"] < 0.05


def test_a_weight_that_changed_moves_users_and_spoils_the_check_of_the_split(tenant: Caller, name: str) -> None:
    for weight in (1, 1000):
        variants = [{"name": "a"}, {"name": "b", "weight": weight, "model": "offline/large"}]
        put(tenant, f"/v1/experiments/{name}", {"status": "running", "variants": variants})
        for person in range(6):
            run(tenant, f"{name}-{person}")
    tenant.flush()
    results = tenant.get("experiments", name, "results")
    assert results["users_in_several_variants"] > 0
    assert results["sample_ratio"]["p_value"] is None


def test_a_run_that_decides_for_itself_what_a_variant_would_is_no_part(tenant: Caller, name: str) -> None:
    variants = [{"name": "plain"}, {"name": "brief", "parameters": {"max_tokens": 4}}]
    put(tenant, f"/v1/experiments/{name}", {"status": "running", "workflow": "chat", "variants": variants})
    people = list(one_of_each(tenant, name, ["plain", "brief"]))
    for person in people:
        assert run(tenant, person, parameters={"max_tokens": 900})["finish_reason"] == "stop"
        assert run(tenant, person, workflow="assistant")["finish_reason"] == "stop"
    tenant.flush()
    assert [v["runs"] for v in tenant.get("experiments", name, "results")["variants"]] == [0, 0]
    ends = Counter(run(tenant, person, model="offline/large")["finish_reason"] for person in people)
    assert set(ends) == {"stop", "length"}, "a model is none of this experiment's business"


def test_without_a_user_the_conversation_is_dealt(tenant: Caller, name: str) -> None:
    put(tenant, f"/v1/experiments/{name}", {"status": "running", "variants": MODELS})
    for number in range(4):
        conversation = f"c-{name}-{number}"
        models = {ask(tenant, conversation)["model"] for _ in range(2)}
        assert models == {tenant.get("experiments", name, "assignment", user_id=conversation)["variant"]}


@pytest.mark.parametrize(
    "state",
    [
        {"status": "draft"},
        {"status": "paused"},
        {"status": "ended"},
        {"status": "running", "ends_at": (datetime.now(UTC) - timedelta(seconds=5)).isoformat()},
        {"status": "running", "starts_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
    ],
)
def test_an_experiment_that_does_not_run_takes_nobody_in(tenant: Caller, name: str, state: dict[str, str]) -> None:
    variants = [{"name": "a", "model": "offline/large"}, {"name": "b", "model": "offline/large"}]
    assert put(tenant, f"/v1/experiments/{name}", {**state, "variants": variants})["active"] is False
    assert run(tenant, f"u-{name}")["model"] == "small"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"variants": [{"name": "a", "weight": 0}, {"name": "b", "weight": 0}]}, "sum to zero"),
        ({"variants": [{"name": "a", "weight": -1}, {"name": "b"}]}, "greater than or equal to 0"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "same name"),
        ({"variants": [{"name": "a"}]}, "at least 2"),
        ({"variants": [{"name": "a/b"}, {"name": "b"}]}, "pattern"),
        ({"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}, "end before it starts"),
        ({"starts_at": "2026-01-02T00:00:00"}, "timezone"),
        ({"status": "sideways"}, "'draft', 'running', 'paused' or 'ended'"),
        ({"variants": [{"name": "a", "tools": ["rm"]}, {"name": "b"}]}, "not permitted"),
    ],
)
def test_what_cannot_be_an_experiment_is_refused(tenant: Caller, name: str, change: dict[str, Any], says: str) -> None:
    status, detail = refused(tenant, "PUT", f"/v1/experiments/{name}", {"variants": MODELS, **change})
    assert status == 422
    assert says in detail
    assert refused(tenant, "GET", f"/v1/experiments/{name}")[0] == 404


def test_an_experiment_of_one_tenant_deals_nobody_elses_users(tenant: Caller, name: str, system: System) -> None:
    put(tenant, f"/v1/experiments/{name}", {"status": "running", "variants": [*MODELS[1:], {"name": "x"}]})
    with own_tenant(system) as other:
        assert {run(other, f"u{i}")["model"] for i in range(4)} == {"small"}
        assert refused(other, "GET", f"/v1/experiments/{name}/results")[0] == 404
