"""Messages and conversations: what the tables `messages` and the rollups of the ledger say together."""

import pytest

from ledger_rows import NOON, SECOND, Post
from spanledger.errors import BadRequest, NotFound
from spanledger.stats import conversations as stats
from spanledger.stats.times import Window
from spanledger.store.client import Store


@pytest.fixture
def talk(post: Post, tell: Post) -> None:
    """Conversation c with three messages, the last one failed; conversation d with one; one message in none."""
    for number, status in enumerate(("ok", "ok", "error")):
        ids = {"conversation_id": "c", "user_id": "ann", "trace_id": f"t{number}"}
        at = NOON + number * 10 * SECOND
        tell(f"m{number}", **ids, started_at=at, status=status, models=[f"model-{number}"], providers=["p"])
        post(**ids, message_id=f"m{number}", started_at=at, input_tokens=10, output_tokens=1, cost_usd="0.001")
        post(kind="message", messages=1 if status == "error" else 2, **ids, message_id=f"m{number}", started_at=at)
    tell("m0", conversation_id="d", user_id="bob", started_at=NOON + 15 * SECOND)
    post(kind="message", messages=2, conversation_id="d", message_id="m0", user_id="bob", started_at=NOON + 15 * SECOND)
    tell("alone", started_at=NOON)
    post(kind="message", messages=1, message_id="alone")


@pytest.mark.usefixtures("talk")
def test_conversation_adds_up_its_messages(store: Store, tenant: str) -> None:
    found = stats.conversation(store, tenant, "c")
    assert (found.conversation_id, found.user_id, found.status) == ("c", "ann", "active")
    assert found.message_count == 5  # the failed exchange has no assistant message
    assert (found.first_at, found.last_at) == ("2026-11-21T12:00:00.000000Z", "2026-11-21T12:00:22.000000Z")
    assert found.models == ["model-0", "model-1", "model-2"]
    assert (found.usage.llm_calls, found.usage.total_tokens, found.usage.cost_usd) == (3, 33, "0.003")


@pytest.mark.usefixtures("talk")
def test_messages_come_in_time_order_and_in_pages(store: Store, tenant: str) -> None:
    page = stats.messages(store, tenant, "c", limit=2)
    assert [m.message_id for m in page.items] == ["m0", "m1"]
    rest = stats.messages(store, tenant, "c", limit=2, cursor=page.next_cursor)
    assert [m.message_id for m in rest.items] == ["m2"]
    assert rest.next_cursor is None
    assert [m.usage.cost_usd for m in page.items + rest.items] == ["0.001"] * 3


@pytest.mark.usefixtures("talk")
def test_message_by_id(store: Store, tenant: str) -> None:
    found = stats.message(store, tenant, "m2")
    assert (found.conversation_id, found.user_id, found.status) == ("c", "ann", "error")
    assert (found.started_at, found.duration_ms) == ("2026-11-21T12:00:20.000000Z", 2000.0)
    assert (found.models, found.providers) == (["model-2"], ["p"])
    assert found.usage.total_tokens == 11


@pytest.mark.usefixtures("talk")
def test_an_id_that_two_conversations_use_keeps_their_usage_apart(store: Store, tenant: str) -> None:
    newest = stats.message(store, tenant, "m0")
    assert (newest.conversation_id, newest.usage.total_tokens) == ("d", 0)
    assert stats.messages(store, tenant, "c").items[0].usage.total_tokens == 11


@pytest.mark.usefixtures("talk")
def test_conversations_are_listed_by_latest_activity(store: Store, tenant: str) -> None:
    first = stats.conversations(store, tenant, limit=1)
    assert [c.conversation_id for c in first.items] == ["c"]
    second = stats.conversations(store, tenant, limit=1, cursor=first.next_cursor)
    assert [c.conversation_id for c in second.items] == ["d"]
    assert second.next_cursor is None


@pytest.mark.usefixtures("talk")
def test_conversations_are_filtered_by_user_and_window(store: Store, tenant: str) -> None:
    def listed(window: Window, user: str = "") -> list[str]:
        return [c.conversation_id for c in stats.conversations(store, tenant, window, user).items]

    assert listed(Window(), "bob") == ["d"]
    assert listed(Window(), "nobody") == []
    assert listed(Window(NOON + 11 * SECOND, NOON + 20 * SECOND)) == ["d"]
    assert listed(Window(NOON, NOON + 1)) == ["c"]
    whole = stats.conversations(store, tenant, Window(NOON, NOON + 1)).items[0]
    assert whole.usage.llm_calls == 3  # figures are those of the whole conversation


@pytest.mark.usefixtures("talk")
def test_a_moved_message_is_only_where_it_went(store: Store, tenant: str, tell: Post, post: Post) -> None:
    tell("m1", conversation_id="c", started_at=NOON, version=2, deleted=1)
    tell("m1", conversation_id="e", started_at=NOON, version=2)
    post(kind="message", messages=2, conversation_id="e", message_id="m1")
    assert [m.message_id for m in stats.messages(store, tenant, "c").items] == ["m0", "m2"]
    assert stats.conversation(store, tenant, "e").message_count == 2


def test_a_message_whose_entries_are_on_their_way_does_not_count_yet(store: Store, tenant: str, tell: Post) -> None:
    """Its usage is not there either: a reader never sees the one without the other."""
    tell("m1", conversation_id="half", started_at=NOON)
    found = stats.conversation(store, tenant, "half")
    assert (found.message_count, found.usage.llm_calls) == (0, 0)


@pytest.mark.usefixtures("talk")
def test_what_is_not_there_or_of_another_tenant_is_not_found(store: Store, tenant: str) -> None:
    for ask in (stats.message, stats.conversation, stats.messages):
        with pytest.raises(NotFound, match="there is no"):
            ask(store, tenant, "nothing")
        with pytest.raises(NotFound):
            ask(store, "another tenant", "c")


@pytest.mark.parametrize("cursor", ["x", "%%%", "W10", "WzEsMl0", "bnVsbA", "WzFlMzAwLCIiXQ"])
def test_a_cursor_that_was_never_given_out_is_refused(store: Store, tenant: str, cursor: str) -> None:
    with pytest.raises(BadRequest, match="cursor"):
        stats.conversations(store, tenant, cursor=cursor)


@pytest.mark.parametrize("name", ["test-user", "ü/ß", "a'b\\", " ", "%", "x" * 256, "\N{GRINNING FACE}", "a\nb\tc\0d"])
def test_ids_of_any_form_are_found_again(store: Store, tenant: str, tell: Post, post: Post, name: str) -> None:
    tell(name, conversation_id=name, user_id=name)
    post(kind="message", messages=1, conversation_id=name, message_id=name, user_id=name)
    assert stats.message(store, tenant, name).conversation_id == name
    assert stats.conversation(store, tenant, name).user_id == name
    assert stats.conversations(store, tenant, user_id=name).items[0].conversation_id == name
