"""Lists, facets, ids and explanations over HTTP: parameters, pages, tenants."""

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from api_find_shop import Shop
from explained import expect_exact
from guarded import Caller, spanledger
from system import System
from tenants import own_tenant


@pytest.fixture(scope="module")
def shop(system: System) -> Shop:
    return Shop(system)


def refused(system: System, path: str, **params: Any) -> int:
    status, _, body = system.request("GET", f"/v1/{path}?{urlencode(params)}")
    assert status >= 400, body
    return status


def _settled(message: dict[str, object]) -> dict[str, object]:
    """A message without what tells how fresh it is, and without its texts, which no list has."""
    assert message["state"] == "settled"
    return {name: value for name, value in message.items() if name not in ("state", "as_of", "content", "question")}


def test_messages_by_filter_sort_and_page(system: System, shop: Shop) -> None:
    page = system.get("messages", service=shop.name, sort="-tokens", limit=2)
    assert [m["message_id"] for m in page["items"]] == [f"{shop.name}-m2", f"{shop.name}-m1"]
    assert (page["count"], page["usage"]["input_tokens"]) == (3, 6000)
    rest = system.get("messages", service=shop.name, sort="-tokens", limit=2, cursor=page["next_cursor"])
    assert [m["message_id"] for m in rest["items"]] == [f"{shop.name}-m0"]
    assert rest["next_cursor"] is None
    found = system.get("messages", **{"service": shop.name, "attr.team": "sea*"})
    assert found["count"] == 2
    assert found["items"][0] == _settled(system.get("messages", f"{shop.name}-m2"))


def test_spans_by_filter(system: System, shop: Shop) -> None:
    page = system.get("spans", service=shop.name, role="inference", limit=2)
    assert [s["message_id"] for s in page["items"]] == [f"{shop.name}-m2", f"{shop.name}-m1"]
    assert page["items"][0]["usage"]["input_tokens"] == 3000
    rest = system.get("spans", service=shop.name, role="inference", limit=2, cursor=page["next_cursor"])
    assert [s["message_id"] for s in rest["items"]] == [f"{shop.name}-m0"]
    assert [s["user_id"] for s in system.get("spans", **{"service": shop.name, "attr.team": "sales"})["items"]] == [
        f"{shop.name}-u0"
    ]


def test_facets_and_users(system: System, shop: Shop) -> None:
    counted = system.get("facets", service=shop.name, field="user,model")
    assert counted == {
        "user": [{"value": f"{shop.name}-u0", "count": 2}, {"value": f"{shop.name}-u1", "count": 1}],
        "model": [{"value": "gpt-4o-mini", "count": 3}],
    }
    users = system.get("users", prefix=shop.name, sort="-tokens")
    assert [u["user_id"] for u in users["items"]] == [f"{shop.name}-u0", f"{shop.name}-u1"]
    assert users["items"][0]["usage"] == system.get("users", f"{shop.name}-u0", "usage")["usage"]


def test_any_id_is_found(system: System, shop: Shop) -> None:
    trace = shop.traces[1].hex()
    for name, kind in (
        (trace, "trace"),
        (f"{shop.name}-m1", "message"),
        (f"{shop.name}-c1", "conversation"),
        (f"{shop.name}-u1", "user"),
        (f"resp-{shop.name}-1", "response"),
    ):
        found = system.get("find", id=name)
        assert (found["kind"], found["id"]) == (kind, name)
        assert system.request("GET", found["api"])[0] == 200
    assert refused(system, "find", id="nothing has this id") == 404


def test_a_figure_is_explained(system: System, shop: Shop) -> None:
    found = system.get("explain", message=f"{shop.name}-m0")
    expect_exact(found)
    (call,) = found["calls"]
    assert call["amount"] == "0.00021"  # 1000 × 0.15 + 100 × 0.60 / 1M
    assert call["parts"] == [
        {"kind": "input", "tokens": 1000, "rate": "0.00000015", "amount": "0.00015"},
        {"kind": "output", "tokens": 100, "rate": "0.0000006", "amount": "0.00006"},
    ]
    assert call["price"]["pattern"] == "gpt-4o-mini"
    assert {"field": "input_tokens", "key": "gen_ai.usage.input_tokens", "value": "1000"}.items() <= next(
        one for one in call["read"] if one["field"] == "input_tokens"
    ).items()
    assert found["state"] == "settled"
    for kind, name in (("conversation", "c0"), ("user", "u0")):
        whole = system.get("explain", **{kind: f"{shop.name}-{name}"})
        expect_exact(whole)
        assert whole["usage"]["input_tokens"] == 4000


def test_what_nobody_reads_is_refused(system: System, shop: Shop) -> None:
    assert refused(system, "messages", modell="x") in (400, 422)
    assert refused(system, "messages", **{"attr.": "x"}) in (400, 422)
    assert refused(system, "messages", sort="colour") in (400, 422)
    assert refused(system, "messages", limit=0) in (400, 422)
    assert refused(system, "messages", cursor="x") == 422
    assert refused(system, "messages", from_="yesterday") in (400, 422)
    assert refused(system, "facets", field="colour") == 422
    assert refused(system, "explain") == 422
    assert refused(system, "explain", trace="nobody") == 404


def test_another_tenant_sees_none_of_it(system: System, shop: Shop) -> None:
    with own_tenant(system, "read") as other:
        assert ask(other, "/v1/messages")["items"] == []
        assert ask(other, "/v1/messages")["count"] == 0
        assert ask(other, "/v1/spans")["items"] == []
        assert ask(other, "/v1/users")["items"] == []
        assert ask(other, "/v1/facets?field=user") == {"user": []}
        for path in (
            f"/v1/find?id={shop.name}-m1",
            f"/v1/explain?message={shop.name}-m1",
            f"/v1/explain?trace={shop.traces[0].hex()}",
            f"/v1/explain/compare?message={shop.name}-m1",
        ):
            assert other.call("GET", path)[0] == 404
        assert other.call("GET", "/v1/tenants")[0] == 403
    tenants = system.get("tenants")
    assert "default" in {line["tenant"] for line in tenants["items"]}


def ask(caller: Caller, path: str) -> Any:
    status, body = caller.call("GET", path)
    assert status == 200, body
    return body


def test_a_message_is_compared_with_its_peers(system: System, shop: Shop) -> None:
    found = system.get("explain", "compare", message=f"{shop.name}-m2")
    assert found["cost_usd"] == system.get("messages", f"{shop.name}-m2")["usage"]["cost_usd"]
    assert (found["peers"]["count"], found["peers"]["cheaper"]) == (2, 2)
    assert found["median_usd"] == "0.000285"  # of 0.00021 and 0.00036
    amounts = {one["factor"]: Decimal(one["amount_usd"]) for one in found["factors"]}
    assert sum(amounts.values()) == Decimal(found["difference_usd"]) == Decimal("0.000225")
    assert amounts["context"] == Decimal("0.000225")
    user = system.get("explain", "compare", user=f"{shop.name}-u0")
    assert Decimal(user["cost_usd"]) - Decimal(user["median_usd"]) == Decimal(user["difference_usd"])
    assert refused(system, "explain/compare") == 422
    assert refused(system, "explain/compare", message="a", user="b") == 422
    assert refused(system, "explain/compare", message="nobody") == 404


def test_the_command_compares(system: System, shop: Shop) -> None:
    done = spanledger("explain", "--compare", f"{shop.name}-m2", "--data-dir", system.data_dir)
    assert done.returncode == 0, done.stderr
    assert "median of 2 messages of service" in done.stdout
    assert "context" in done.stdout
    assert "0.000225" in done.stdout
