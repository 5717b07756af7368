"""What lists have in common over HTTP: the next page as a link, CSV, an answer that has not changed, filters."""

import csv
import io
import re
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from api_find_shop import Shop
from system import System

CSV = "text/csv"


@pytest.fixture(scope="module")
def shop(system: System) -> Shop:
    return Shop(system, name="=2+2")


def asked(system: System, path: str, accept: str = "*/*", **params: Any) -> tuple[dict[str, str], Any]:
    status, headers, body = system.request("GET", f"/v1/{path}?{urlencode(params, doseq=True)}", Accept=accept)
    assert status == 200, body
    return headers, body


def table(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode())))


@pytest.mark.parametrize("path", ["messages", "conversations"])
def test_pages_are_linked(system: System, shop: Shop, path: str) -> None:
    headers, first = asked(system, path, service=shop.service, limit=1)
    found = re.fullmatch(r'<(/v1/[^>]+)>; rel="next"', headers["link"])
    assert found
    status, _, second = system.request("GET", found[1])
    assert status == 200
    assert second["items"]
    assert second["items"] != first["items"]
    whole, _ = asked(system, path, service=shop.service)
    assert "link" not in whole


@pytest.mark.parametrize("path", ["messages", "conversations", "users", "spans", "tenants", "prices"])
def test_tables_come_as_csv(system: System, shop: Shop, path: str) -> None:
    params = {"service": shop.service} if path in ("messages", "conversations", "spans") else {}
    _, answer = asked(system, path, **params)
    headers, body = asked(system, path, accept="text/csv, application/json;q=0.5", **params)
    assert headers["content-type"].startswith(CSV)
    rows = table(body)
    assert len(rows) == len(answer["items"])
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())
    for row, item in zip(rows, answer["items"], strict=True):
        if "usage" in item:
            assert row["usage.cost_usd"] == item["usage"]["cost_usd"]


def test_groups_come_as_csv_and_json_stays_the_default(system: System, shop: Shop) -> None:
    _, answer = asked(system, "usage", service=shop.service, group_by="user")
    rows = table(asked(system, "usage", CSV, service=shop.service, group_by="user")[1])
    assert [row["user"] for row in rows] == [f"'{group['user']}" for group in answer["groups"]]
    assert sum(Decimal(row["usage.cost_usd"]) for row in rows) == Decimal(answer["usage"]["cost_usd"])
    for accept in ("application/json, text/csv", "*/*", "text/html,text/csv;q=0.9", "text/csv;q=x"):
        assert isinstance(asked(system, "users", accept)[1], dict), accept


def test_an_answer_that_has_not_changed_is_not_sent_again(system: System, shop: Shop) -> None:
    target = f"/v1/messages?service={shop.service.replace('=', '%3D').replace('+', '%2B')}"
    _, first, _ = system.request("GET", target)
    status, again, body = system.request("GET", target, If_None_Match=first["etag"])
    assert (status, body, again["etag"]) == (304, b"", first["etag"])
    status, other, _ = system.request("GET", target, If_None_Match=first["etag"], Accept=CSV)
    assert status == 200
    assert other["etag"] != first["etag"]


def test_conversations_are_filtered_like_messages(system: System, shop: Shop) -> None:
    _, found = asked(system, "conversations", service=shop.service, totals="true")
    assert [one["conversation_id"] for one in found["items"]] == [f"{shop.name}-c0", f"{shop.name}-c1"]
    messages = system.get("messages", service=shop.service)
    assert (found["usage"], found["count"]) == (messages["usage"], 2)
    _, of_team = asked(system, "conversations", service=shop.service, **{"attr.team": "sales"})
    assert [one["conversation_id"] for one in of_team["items"]] == [f"{shop.name}-c0"]
    _, dear = asked(system, "conversations", service=shop.service, min_tokens=3000, totals="true")
    assert (dear["count"], dear["usage"]["input_tokens"]) == (1, 3000)
    for name in ("user", "user_id"):
        _, own = asked(system, "conversations", totals="true", **{name: shop.users[1]})
        assert (own["count"], len(own["items"])) == (1, 1)
    assert system.request("GET", "/v1/conversations?modell=x")[0] == 422
