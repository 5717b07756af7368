"""The registry: versions, removals, tenants, listeners."""

import threading
from pathlib import Path

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
