"""Exports: complete, resumable, the same figures as the API, no formulas for spreadsheets, no other tenant."""

import csv
import io
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pyarrow.parquet as pq
import pytest

from api_find_shop import Shop
from system import System
from tenants import own_tenant

KINDS = ("messages", "calls", "spans", "ledger", "usage", "conversations", "users")


@pytest.fixture(scope="module")
def shop(system: System) -> Shop:
    return Shop(system, name="=1+1")


def exported(system: System, kind: str, **params: Any) -> bytes:
    status, _, body = system.request("GET", f"/v1/export/{kind}?{urlencode(params, doseq=True)}")
    assert status == 200, body
    assert isinstance(body, bytes)
    return body


def lines(body: bytes) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *rows, end = [json.loads(line) for line in body.decode().splitlines()]
    return rows, end["end"]


def params_of(kind: str, shop: Shop) -> dict[str, Any]:
    return {"users": {}, "conversations": {"user": shop.users}}.get(kind, {"service": shop.service})


@pytest.mark.parametrize("kind", KINDS)
def test_three_formats_hold_the_same_rows(system: System, shop: Shop, kind: str) -> None:
    asked = params_of(kind, shop)
    rows, end = lines(exported(system, kind, **asked))
    assert rows
    assert end == {"rows": len(rows), "complete": True, "next_cursor": None}
    file = pq.ParquetFile(io.BytesIO(exported(system, kind, format="parquet", **asked)))
    table = file.read()
    assert table.num_rows == len(rows)
    assert json.loads(file.metadata.metadata[b"spanledger.end"]) == end
    text = exported(system, kind, format="csv", **asked).decode()
    *body, last = text.splitlines()
    assert last == f"# {len(rows)} rows, complete"
    read = list(csv.DictReader(body))
    assert len(read) == len(rows)
    for row, cells, arrow in zip(rows, read, table.to_pylist(), strict=True):
        for name, value in row.items():
            assert not cells[name].startswith(("=", "+", "@"))
            if name.endswith("_usd"):
                assert (value is None) == (arrow[name] is None)
                assert value is None or Decimal(value) == arrow[name] == Decimal(cells[name])
            elif isinstance(value, str):
                assert cells[name].removeprefix("'") == value == arrow[name]


def test_figures_are_those_of_the_api(system: System, shop: Shop) -> None:
    usage = system.get("usage", service=shop.service)["usage"]
    for kind in ("messages", "calls", "ledger", "usage"):
        rows, _ = lines(exported(system, kind, service=shop.service))
        assert sum(row["input_tokens"] for row in rows) == usage["input_tokens"], kind
        assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal(usage["cost_usd"]), kind


@pytest.mark.parametrize("kind", ["messages", "calls", "ledger", "spans"])
def test_an_export_goes_on_where_it_was_broken_off(system: System, shop: Shop, kind: str) -> None:
    whole, _ = lines(exported(system, kind, service=shop.service))
    rows, cursor = [], None
    while True:
        part, end = lines(
            exported(system, kind, service=shop.service, limit=1, **({"cursor": cursor} if cursor else {}))
        )
        rows += part
        cursor = end["next_cursor"]
        if cursor is None:
            break
    assert rows == whole


def test_another_tenant_exports_nothing_of_it(system: System, shop: Shop) -> None:
    with own_tenant(system, "read") as other:
        for kind in KINDS:
            status, _, body = system.request("GET", f"/v1/export/{kind}", Authorization=f"Bearer {other.key}")
            assert status == 200
            assert lines(body) == ([], {"rows": 0, "complete": True, "next_cursor": None})


def test_what_cannot_be_filtered_is_refused(system: System) -> None:
    for path in ("calls?q=x", "conversations?model=x", "calls?cursor=x", "nothing", "usage?user=ada", "calls?x=1"):
        assert system.request("GET", f"/v1/export/{path}")[0] in (400, 404, 422), path
