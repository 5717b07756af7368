"""Erasing from the console: only with the id typed again, and with a report of what was done."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from guarded import Caller
from system import System
from tenants import ask, own_tenant
from visitor import Visitor


@pytest.fixture(scope="module")
def people(system: System) -> Iterator[Caller]:
    """A tenant with two users."""
    with own_tenant(system) as caller:
        for user in ("ann-1204", "bob-1204"):
            ask(caller, f"talk-of-{user}", user_id=user)
        caller.flush()
        yield caller


def test_a_user_is_erased_after_the_id_was_typed(people: Caller, visit: Callable[..., Visitor]) -> None:
    visitor = visit(people)
    page = visitor.see("/users/ann-1204?range=all")
    page.get_by_role("link", name="Erase this user").click()
    page.wait_for_url("**/erasures?user=ann-1204")
    page.get_by_label("Identity").check()
    page.fill("#typed", "ann-1204")
    page.get_by_role("button", name="Erase").click()
    page.wait_for_selector("#erasure .books.good")
    (erasure,) = people.get("erasures")["items"]
    assert (erasure["state"], erasure["kind"], erasure["scope"]) == ("done", "user", "identity")
    shown = {name: value for name, value, _ in visitor.figures("#erasure .cards")}
    assert {
        name: str(erasure["report"][name]) for name in ("traces", "entries", "removed_calls")
    }.items() <= shown.items()
    known = {one["user_id"] for one in people.get("users")["items"]}
    assert known == {"bob-1204", erasure["pseudonym"]}

    page = visitor.see("/erasures")
    page.locator(f'[data-id="{erasure["erasure_id"]}"] button', has_text="Lift").click()
    page.wait_for_selector("text=is lifted")
    assert people.get("erasures")["items"] == []


def test_nothing_is_erased_without_the_id(people: Caller, visit: Callable[..., Visitor]) -> None:
    before = people.get("erasures")["items"]
    visitor = visit(people)
    page = visitor.see("/erasures?user=bob-1204")
    page.get_by_label("Everything").check()
    page.fill("#typed", "bob")
    page.get_by_role("button", name="Erase").click()
    page.wait_for_selector("[role=alert] >> text=Nothing was erased")
    visitor.problems.remove(next(one for one in visitor.problems if "400" in one))
    assert page.locator("[value=everything]").is_checked()
    assert people.get("erasures")["items"] == before
    assert people.get("users", prefix="bob-1204")["count"] == 1


def test_only_admins_are_offered_erasing(system: System, shop: Caller, visit: Callable[..., Visitor]) -> None:
    with own_tenant(system, role="read") as reader:
        visitor = visit(reader)
        page = visitor.see(f"/users/{uuid.uuid4().hex}")
        assert page.get_by_role("link", name="Erase this user").count() == 0
        page = visitor.see("/erasures?user=somebody", status=403)
        visitor.problems.clear()
        assert page.locator("#typed").count() == 0
