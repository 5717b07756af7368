"""Lists: every filter finds what a plain filter in Python finds; pages neither lose nor repeat a message."""

import random
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger_rows import NOON, SECOND, ledger_row, write_rows
from spanledger.errors import BadRequest, NotFound
from spanledger.stats import by_usage, conversations, finding, found_conversations, message_rows, owners
from spanledger.stats.conversations import Message
from spanledger.stats.filters import Filter, Range
from spanledger.stats.found_messages import FACETS, SORTS, facets, found
from spanledger.stats.times import Window
from spanledger.stats.usage import Usage
from spanledger.store.client import Store

COUNT = 80
HOUR = 3600 * SECOND
TENANT = "found"
WORDS = ("alpha", "beta", "Größe", "日本")


class Data:
    """Messages of two days with calls, tools and raw spans, and what a plain filter needs of each."""

    def __init__(self, store: Store) -> None:
        rng = random.Random(11)
        messages, entries, raw = [], [], []
        self.said: dict[str, dict[str, Any]] = {}
        for n in range(COUNT):
            at = NOON - rng.randrange(48) * HOUR - rng.randrange(3600) * SECOND + n
            ids = {
                "conversation_id": rng.choice(["", "c1", "c2", "c3"]),
                "message_id": f"m{n}",
                "trace_id": f"found-t{n}",
                "user_id": rng.choice(["", "ada", "bob", "eve"]),
                "service": rng.choice(["web", "batch"]),
                "workflow": rng.choice(["", "chat", "search"]),
            }
            status = rng.choice(["ok", "ok", "error"])
            calls = rng.randrange(3)
            model = rng.choice(["gpt-4o", "claude"])
            tool = rng.choice(["", "search", "clock"])
            team, words = rng.choice(["search", "sales", ""]), rng.choice(WORDS)
            more = {"prompt": rng.choice(["", "p1"]), "prompt_version": rng.choice(["", "1"])}
            more["variant"] = rng.choice(["", "e/a"])
            messages.append(
                {
                    **ids,
                    **more,
                    "tenant": TENANT,
                    "started_at": at,
                    "duration_ns": rng.randrange(1, 9) * SECOND,
                    "status": status,
                    "error_type": rng.choice(["Timeout", "abandoned"]) if status == "error" else "",
                    "models": [model] if calls else [],
                    "providers": ["openai" if model == "gpt-4o" else "anthropic"] if calls else [],
                    "tools": [tool] if tool else [],
                    "version": 1,
                    "deleted": 0,
                    "counted": 2,
                }
            )
            whose = {**ids, "started_at": at, "tenant": TENANT}
            entries.append(ledger_row(n, kind="message", messages=2, **whose))
            states = []
            for c in range(calls):
                state = rng.choice(["computed", "unpriced"])
                states.append(state)
                entries.append(
                    ledger_row(
                        n,
                        span_id=f"s{n}-{c}",
                        model=model,
                        operation=rng.choice(["chat", "embeddings"]),
                        input_tokens=rng.randrange(50),
                        output_tokens=rng.randrange(9),
                        cost_usd=f"0.00{rng.randrange(99)}",
                        computed_calls=int(state == "computed"),
                        unpriced_calls=int(state == "unpriced"),
                        cost_state=state,
                        **(whose | {"started_at": at + c * SECOND}),
                    )
                )
            operations = {
                entry["operation"] for entry in entries if entry["message_id"] == f"m{n}" and entry["kind"] == "call"
            }
            raw.append(
                {
                    "Tenant": TENANT,
                    "TraceId": ids["trace_id"],
                    "SpanId": f"s{n}-0",
                    "ServiceName": ids["service"],
                    "SpanName": "chat",
                    "Timestamp": at,
                    "Duration": n * SECOND,
                    "SpanAttributes": {"input": f"say {words} again"} | ({"team": team} if team else {}),
                }
            )
            self.said[f"m{n}"] = {"team": team, "words": words, "operations": operations, **more}
        write_rows(store, "messages", messages)
        write_rows(store, "ledger", entries)
        write_rows(store, "otel_traces", raw)
        # A message that moved in time: its old row stays in message_list.
        moved = {**messages[0], "started_at": messages[0]["started_at"] + 5 * SECOND, "version": 2}
        write_rows(store, "messages", [moved])
        entry = next(one for one in entries if one["message_id"] == "m0" and one["kind"] == "message")
        write_rows(store, "ledger", [{**entry, "messages": -2}, {**entry, "started_at": moved["started_at"]}])
        # Another tenant has the same ids.
        write_rows(store, "messages", [{**message, "tenant": "not-found"} for message in messages[:9]])
        write_rows(store, "ledger", [{**entry, "tenant": "not-found"} for entry in entries[:9]])
        self.all = self._all(store)

    def _all(self, store: Store) -> list[Message]:
        """Each by its own id, the way that does not use lists."""
        return [conversations.message(store, TENANT, f"m{n}") for n in range(COUNT)]


@pytest.fixture(scope="module")
def data(store: Store) -> Data:
    return Data(store)


@pytest.fixture(scope="module", params=["few messages", "many"], autouse=True)
def _way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Over much history the same questions go other ways; here, as if eighty messages were much."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "many":
            patch.setattr(message_rows, "_MANY", 0)
            patch.setattr(message_rows, "FEW", 4)
            patch.setattr(by_usage, "_LONG", 0)
            patch.setattr(by_usage, "_FEW", 1)
        yield


FIELDS: dict[str, Callable[[Message, dict[str, Any]], list[str]]] = {
    "user": lambda m, _: [m.user_id],
    "conversation": lambda m, _: [m.conversation_id],
    "message": lambda m, _: [m.message_id],
    "trace": lambda m, _: [m.trace_id],
    "service": lambda m, _: [m.service],
    "workflow": lambda m, _: [m.workflow],
    "status": lambda m, _: [m.status],
    "error_type": lambda m, _: [m.error_type],
    "model": lambda m, _: m.models,
    "provider": lambda m, _: m.providers,
    "tool": lambda m, _: m.tools,
    "prompt": lambda _, said: [said["prompt"]],
    "prompt_version": lambda _, said: [said["prompt_version"]],
    "variant": lambda _, said: [said["variant"]],
    "operation": lambda _, said: sorted(said["operations"]),
    "cost_state": lambda m, _: [m.usage.cost_state],
}
_VALUES = {
    "user": ["ada", "bob", "nobody", ""],
    "conversation": ["c1", "c2", ""],
    "message": ["m0", "m1", "m2"],
    "trace": ["found-t0", "found-t3"],
    "service": ["web", "batch"],
    "workflow": ["chat", ""],
    "status": ["ok", "error", "abandoned"],
    "error_type": ["Timeout", ""],
    "model": ["gpt-4o", "claude"],
    "provider": ["openai", "anthropic"],
    "tool": ["search", "clock"],
    "prompt": ["p1", ""],
    "prompt_version": ["1"],
    "variant": ["e/a"],
    "operation": ["chat", "embeddings"],
    "cost_state": ["computed", "unpriced", "mixed"],
}


def ranges(most: int, unit: Decimal = Decimal(1)) -> st.SearchStrategy[Range]:
    bound = st.none() | st.integers(0, most).map(lambda n: n * unit)
    return st.builds(Range, bound, bound)


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    names = draw(st.lists(st.sampled_from(sorted(_VALUES)), max_size=2, unique=True))
    edge = st.none() | st.integers(-50, 2).map(lambda hours: NOON + hours * HOUR)
    start, end = draw(edge), draw(edge)
    if start is not None and end is not None and start > end:
        start, end = end, start
    return Filter(
        window=Window(start, end),
        equal={name: draw(st.lists(st.sampled_from(_VALUES[name]), min_size=1, max_size=2)) for name in names},
        attributes=draw(
            st.sampled_from([{}, {}, {"team": ["search"]}, {"team": ["*"]}, {"team": ["s*"]}, {"no": ["*"]}])
        ),
        cost_usd=draw(st.just(Range()) | ranges(9, Decimal("0.001"))),
        tokens=draw(st.just(Range()) | ranges(60)),
        duration_ms=draw(st.just(Range()) | ranges(9, Decimal(1000))),
        text=draw(st.sampled_from(["", "", "ALPHA", "größe say", "日本", "alpha beta"])),
    )


def fits(asked: Filter, message: Message, said: dict[str, Any], started_ns: int) -> bool:
    """The plain filter."""
    inside = asked.window.first_ns <= started_ns <= asked.window.last_ns
    equal = all(set(FIELDS[name](message, said)) & set(values) for name, values in asked.equal.items())
    team = said["team"]
    attributes = all(
        key == "team" and team and any(team == v or (v.endswith("*") and team.startswith(v[:-1])) for v in values)
        for key, values in asked.attributes.items()
    )
    content = f"say {said['words']} again".lower()
    text = all(word.lower() in content or word.lower() == team for word in asked.text.split())
    amounts = (
        (asked.cost_usd, Decimal(message.usage.cost_usd)),
        (asked.tokens, Decimal(message.usage.total_tokens)),
        (asked.duration_ms, Decimal(str(message.duration_ms))),
    )
    within = all(
        (r.least is None or r.least <= amount) and (r.most is None or amount <= r.most) for r, amount in amounts
    )
    return inside and equal and attributes and text and within


def starts(store: Store) -> dict[str, int]:
    sql = "SELECT message_id, toUnixTimestamp64Nano(started_at) FROM messages FINAL WHERE tenant = {tenant:String}"
    return dict(store.query(sql, {"tenant": TENANT}))


def summed(messages: list[Message]) -> tuple[int, int, Decimal]:
    usages: list[Usage] = [message.usage for message in messages]
    cost = sum((Decimal(usage.cost_usd) for usage in usages), Decimal(0))
    return sum(usage.llm_calls for usage in usages), sum(usage.total_tokens for usage in usages), cost


@settings(max_examples=40)
@given(asked=filters(), sort=st.sampled_from(SORTS), limit=st.integers(1, 40))
@example(asked=Filter(equal={"cost_state": ["computed"]}), sort="-cost", limit=2)
def test_filters_find_what_a_plain_filter_finds(store: Store, data: Data, asked: Filter, sort: Any, limit: int) -> None:
    at = starts(store)
    wanted = [m for m in data.all if fits(asked, m, data.said[m.message_id], at[m.message_id])]
    page = found(store, TENANT, asked, sort, limit)
    assert page.usage is not None
    assert page.count == len(wanted)
    # Without a filter it is what /v1/usage says of the window, where a call may have begun in it and its message not.
    if not asked.is_open:
        assert (page.usage.llm_calls, page.usage.total_tokens, Decimal(page.usage.cost_usd)) == summed(wanted)
    listed = list(page.items)
    while page.next_cursor:
        page = found(store, TENANT, asked, sort, limit, page.next_cursor, totals=False)
        assert page.items
        listed += page.items
    key: dict[str, Callable[[Message], Any]] = {
        "time": lambda m: at[m.message_id],
        "cost": lambda m: Decimal(m.usage.cost_usd),
        "tokens": lambda m: m.usage.total_tokens,
        "duration": lambda m: m.duration_ms,
    }
    by = key[sort.removeprefix("-")]
    order = sorted(wanted, key=lambda m: (by(m), m.conversation_id, m.message_id), reverse=sort.startswith("-"))
    assert [m.message_id for m in listed] == [m.message_id for m in order]
    assert listed == order


@settings(max_examples=15)
@given(asked=filters(), limit=st.integers(1, 3))
def test_conversations_are_those_of_messages_that_fit(store: Store, data: Data, asked: Filter, limit: int) -> None:
    at = starts(store)
    wanted = [m for m in data.all if m.conversation_id and fits(asked, m, data.said[m.message_id], at[m.message_id])]
    count, usage = found_conversations.total(store, TENANT, asked)
    last: dict[str, int] = {}
    for message in wanted:
        last[message.conversation_id] = max(last.get(message.conversation_id, 0), at[message.message_id])
    assert usage is not None
    assert count == len(last)
    assert (usage.llm_calls, usage.total_tokens, Decimal(usage.cost_usd)) == summed(wanted)
    listed: list[str] = []
    cursor = None
    while True:
        page = found_conversations.found(store, TENANT, asked, limit, cursor)
        listed += [one.conversation_id for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert listed == sorted(last, key=lambda name: (last[name], name), reverse=True)


@settings(max_examples=10)
@given(asked=filters())
def test_facets_count_messages(store: Store, data: Data, asked: Filter) -> None:
    at = starts(store)
    wanted = [m for m in data.all if fits(asked, m, data.said[m.message_id], at[m.message_id])]
    counted = facets(store, TENANT, asked, FACETS, 100)
    for name in FACETS:
        if name not in FIELDS:
            continue
        should: dict[str, int] = {}
        for message in wanted:
            for value in FIELDS[name](message, data.said[message.message_id]):
                if value:
                    should[value] = should.get(value, 0) + 1
        assert dict(counted[name]) == should, name


@pytest.mark.usefixtures("data")
def test_a_page_stays_when_a_message_comes(store: Store) -> None:
    tenant = f"found-stable-{uuid.uuid4().hex[:8]}"

    def tell(number: int, at: int) -> None:
        ids = {"tenant": tenant, "message_id": f"m{number}", "conversation_id": "c", "started_at": at}
        write_rows(store, "messages", [{**ids, "version": 1, "deleted": 0, "status": "ok"}])
        write_rows(store, "ledger", [ledger_row(number, kind="message", messages=2, **ids)])

    for number in range(6):
        tell(number, NOON + number * SECOND)
    first = found(store, tenant, Filter(), limit=3)
    tell(6, NOON + 60 * SECOND)
    second = found(store, tenant, Filter(), limit=3, cursor=first.next_cursor)
    assert [m.message_id for m in (*first.items, *second.items)] == ["m5", "m4", "m3", "m2", "m1", "m0"]
    assert second.next_cursor is None


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsMl0", "WzEuNSwiYSIsImIiXQ"])
def test_a_cursor_of_another_list_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(BadRequest, match="cursor"):
        found(store, TENANT, Filter(), cursor=cursor)


def test_users_by_cost_and_by_page(store: Store, data: Data) -> None:
    window = Window(NOON - 30 * HOUR + 7, NOON - 3 * HOUR + 11)
    at = starts(store)
    inside = [m for m in data.all if window.first_ns <= at[m.message_id] <= window.last_ns]
    listed, cursor = [], None
    while True:
        page = owners.users(store, TENANT, window, sort="-cost", limit=1, cursor=cursor)
        listed += page.items
        if (cursor := page.next_cursor) is None:
            break
    assert {line.user_id for line in listed} >= {m.user_id for m in inside} - {""}
    costs = [Decimal(line.usage.cost_usd) for line in listed]
    assert costs == sorted(costs, reverse=True)
    sql = (
        "SELECT sum(cost_usd) FROM ledger WHERE tenant = {tenant:String} AND user_id != '' AND started_at >= "
        "fromUnixTimestamp64Nano({first:Int64}) AND started_at <= fromUnixTimestamp64Nano({last:Int64})"
    )
    bounds = {"tenant": TENANT, "first": window.first_ns, "last": window.last_ns}
    assert sum(costs) == store.scalar(sql, bounds)
    assert Decimal(page.usage.cost_usd) == sum(costs)


def test_an_id_is_found_whatever_it_names(store: Store, data: Data) -> None:
    kinds = {"m1": "message", "c1": "conversation", "ada": "user"}
    for name, kind in kinds.items():
        assert finding.find(store, TENANT, name).kind == kind
    with pytest.raises(NotFound):
        finding.find(store, TENANT, "nothing-of-that-name")
    with pytest.raises(NotFound):
        finding.find(store, "third-tenant", "m1")
