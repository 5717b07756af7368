"""A condition of SQL statements that excludes a list of traces."""

from collections.abc import Sequence

from spanledger.ledger.copy_lookup import Trace


def condition(tenant: str = "tenant", trace: str = "trace_id") -> str:
    """To be joined by AND. `tenant`, `trace`: names of the columns."""
    return (
        f"({tenant}, {trace}) NOT IN (SELECT arrayJoin(arrayZip("
        "{left_out_tenants:Array(String)}, {left_out_traces:Array(String)})))"
    )


def parameters(traces: Sequence[Trace]) -> dict[str, list[str]]:
    """The parameters of `condition` that exclude these traces."""
    return {"left_out_tenants": [tenant for tenant, _ in traces], "left_out_traces": [trace for _, trace in traces]}
