"""The registry: versions, removals, tenants, listeners."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanledger.store.quota import Quota, QuotaExceeded
from spanledger.store.registry import Change, Registry


def test_a_change_is_a_new_version_and_the_old_ones_stay(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert registry.put("t", "prompt", "greet", {"text": "hi"}, by="k1").version == 1
    assert registry.put("t", "prompt", "greet", {"text": "hi"}).version == 1  # nothing changed
    assert registry.put("t", "prompt", "greet", {"text": "hello"}).version == 2
    newest, first = registry.history("t", "prompt", "greet")
    assert (newest.body, first.body, first.created_by) == ({"text": "hello"}, {"text": "hi"}, "k1")
    exact = registry.get("t", "prompt", "greet", version=1)
    assert exact is not None
    assert exact.body == {"text": "hi"}
    registry.close()


def test_what_was_removed_is_gone_but_readable_and_can_come_back(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.put("t", "prompt", "greet", {"text": "hi"})
    assert registry.remove("t", "prompt", "greet")
    assert not registry.remove("t", "prompt", "greet")
    assert registry.get("t", "prompt", "greet") is None
    assert registry.names("t", "prompt") == []
    assert registry.put("t", "prompt", "greet", {"text": "hi"}).version == 3
    registry.close()


def test_tenants_and_kinds_are_apart_and_outlive_the_process(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.put("a", "prompt", "x", {"n": 1})
    registry.put("b", "prompt", "x", {"n": 2})
    registry.put("a", "agent", "x", {"n": 3})
    registry.close()
    again = Registry(tmp_path)
    assert [entry.body["n"] for entry in again.names("a", "prompt")] == [1]
    assert sorted(entry.body["n"] for entry in again.everywhere("prompt")) == [1, 2]
    again.close()


def test_listeners_hear_every_change_and_threads_get_versions_of_their_own(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    heard: list[Change] = []
    registry.on_change(heard.append)
    threads = [threading.Thread(target=lambda n=n: registry.put("t", "budget", "b", {"n": n})) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(change.after.version for change in heard) == list(range(1, 21))
    assert all(change.before is None or change.before.version == change.after.version - 1 for change in heard)
    registry.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Registry]:
    """Three of a kind, of four versions each."""
    opened = Registry(tmp_path, Quota(objects=3, versions=4))
    yield opened
    opened.close()


def test_a_tenant_has_so_many_of_a_kind(small: Registry, tmp_path: Path) -> None:
    for name in "abc":
        small.put("t", "prompt", name, {"n": 1})
    with pytest.raises(QuotaExceeded, match=r"there are 3 entries of kind prompt already.*TENANT_OBJECTS") as refused:
        small.put("t", "prompt", "d", {"n": 1})
    assert refused.value.members == {"quota": "tenant_objects", "allowed": 3}
    assert small.put("t", "prompt", "a", {"n": 2}).version == 2, "another version is no other one"
    small.put("t", "agent", "d", {"n": 1})
    small.put("other", "prompt", "d", {"n": 1})
    small.remove("t", "prompt", "b")
    small.put("t", "prompt", "d", {"n": 1})
    with pytest.raises(QuotaExceeded):
        small.put("t", "prompt", "b", {"n": 1})
    again = Registry(tmp_path)  # another process, which knows no quota
    again.remove("t", "prompt", "d")
    again.close()
    assert small.put("t", "prompt", "b", {"n": 1}).version == 3


def test_names_that_come_and_go_do_not_pile_up(small: Registry) -> None:
    for number in range(20):
        small.put("t", "limit", f"n{number}", {"n": number})
        assert small.remove("t", "limit", f"n{number}")
    kept = [entry.name for entry in small.newest("limit")]
    assert kept == ["n17", "n18", "n19"]
    assert small.put("t", "limit", "n3", {"n": 3}).version == 1


def test_of_what_can_be_read_no_version_is_lost_and_of_the_rest_the_earliest_goes(small: Registry) -> None:
    for number in range(4):
        small.put("t", "prompt", "greet", {"n": number})
    with pytest.raises(QuotaExceeded, match=r"prompt 'greet' has 4 versions already.*OBJECT_VERSIONS"):
        small.put("t", "prompt", "greet", {"n": 4})
    assert small.put("t", "prompt", "greet", {"n": 3}).version == 4, "it is the same"
    assert small.remove("t", "prompt", "greet"), "removing is always possible"
    for number in range(10):
        assert small.put("t", "limit", "day", {"n": number}).version == number + 1
    assert [entry.version for entry in small.history("t", "limit", "day")] == [10, 9, 8, 7]


def test_what_every_run_looks_at_is_less_and_what_every_user_has_is_more(tmp_path: Path) -> None:
    quota = Quota(objects=100)
    kinds = ("prompt", "experiment", "evaluator", "preferences", "erasure")
    assert [quota.objects_of(kind) for kind in kinds] == [100, 2, 2, 10_000, 0]
    assert Quota(objects=3).objects_of("experiment") == 1
    assert Quota().objects_of("prompt") == 0


def test_pages_follow_each_other(small: Registry, tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        small.put("t", "prompt", name, {"n": name})
    small.put("t", "prompt", "b", {"n": "again"})
    first, more = small.page("t", "prompt", "", 2)
    assert ([(entry.name, entry.version) for entry in first], more) == ([("a", 1), ("b", 2)], True)
    rest, more = small.page("t", "prompt", "b", 2)
    assert ([entry.name for entry in rest], more) == (["c"], False)
    small.remove("t", "prompt", "b")
    small.put("t", "prompt", "b", {"n": "back"})
    found, more = small.versions("t", "prompt", "b", 0, 2)
    assert ([entry.version for entry in found], more) == ([4, 2], True)
    found, more = small.versions("t", "prompt", "b", 2, 2)
    assert ([entry.version for entry in found], more) == ([1], False)


def test_a_page_of_large_bodies_ends_early(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for number in range(20):
        registry.put("t", "prompt", "long", {"text": "x" * 1_000_000, "n": number})
    found, more = registry.versions("t", "prompt", "long", 0, 20)
    assert (len(found), more) == (9, True)
    seen = [entry.version for entry in found]
    while more:
        found, more = registry.versions("t", "prompt", "long", seen[-1], 20)
        seen += [entry.version for entry in found]
    assert seen == list(range(20, 0, -1))
    registry.close()
