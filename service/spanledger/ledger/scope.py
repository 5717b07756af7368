"""The scope of an audit: a window of time, one tenant or all, or one message, conversation, trace or user."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spanledger.errors import BadRequest
from spanledger.store.client import Store

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
END = datetime(2262, 4, 11, 23, 47, 16, tzinfo=UTC)  # the last time that 64 bits of nanoseconds can hold
MAX_TRACES = 20_000  # of one thing
THINGS = {"conversation": "conversation_id", "message": "message_id", "trace": "trace_id", "user": "user_id"}


@dataclass(frozen=True)
class Scope:
    """`tenant`: None is all. `column`, `value`: one thing, whose calls are in `traces`."""

    start: datetime | None = None
    end: datetime | None = None
    tenant: str | None = None
    column: str = ""
    value: str = ""
    traces: tuple[str, ...] = ()

    @property
    def params(self) -> dict[str, Any]:
        """What the conditions are bound to."""
        bound: dict[str, Any] = {"start": self.start or EARLIEST, "end": self.end or END}
        if self.tenant is not None:
            bound["only_tenant"] = self.tenant
        if self.column:
            bound |= {"only_traces": list(self.traces), "only_value": self.value}
        return bound

    def spans(self, time: str = "started_at", tenant: str = "tenant", trace: str = "trace_id") -> str:
        """The condition on a table of spans or entries, by the names of its columns."""
        parts = [f"{time} >= {{start:DateTime64(9)}} AND {time} < {{end:DateTime64(9)}}", self.of_tenant(tenant)]
        parts += [f"{trace} IN {{only_traces:Array(String)}}"] if self.column else []
        return " AND ".join(part for part in parts if part)

    def of_tenant(self, column: str = "tenant") -> str:
        """Empty for all of them."""
        return "" if self.tenant is None else f"{column} = {{only_tenant:String}}"

    def of_thing(self) -> str:
        """The condition on a table that has a column of the thing."""
        return f"{self.of_tenant()} AND {self.column} = {{only_value:String}}"


def of_thing(store: Store, tenant: str, kind: str, value: str) -> Scope:
    """One conversation, message, trace or user. Raises BadRequest when it has too many traces for this."""
    column = THINGS[kind]
    if kind == "trace":
        return Scope(tenant=tenant, column=column, value=value, traces=(value,))
    tables = ("ledger", "genai_spans", "messages")
    where = f"tenant = {{tenant:String}} AND {column} = {{value:String}}"
    named = " UNION ALL ".join(f"SELECT trace_id FROM {{shards:Identifier}}.{table} WHERE {where}" for table in tables)
    limit = f"LIMIT {MAX_TRACES + 1}"
    rows = store.query(
        f"SELECT DISTINCT trace_id FROM ({named}) WHERE trace_id != '' {limit}",
        {"tenant": tenant, "value": value, "shards": store.all_shards},
    )
    if len(rows) > MAX_TRACES:
        raise BadRequest(f"{kind} {value!r} has more than {MAX_TRACES} traces; audit a window of time instead")
    return Scope(tenant=tenant, column=column, value=value, traces=tuple(trace for (trace,) in rows))
