"""Table settle_work: what a run of settlement works on. Conditions that find the rows of its traces and keys."""

COLUMNS = ("run_id", "round", "tenant", "trace_id")
OF_RUN = "settle_work WHERE run_id = {run:String}"


def rows_of(work: str, key: str = "trace_id") -> str:
    """PREWHERE and WHERE for the rows whose (tenant, `key`) is in `work`, a query or its name.

    Sets of one column choose the granules. A set of pairs takes three to five times as long for it, so the pairs are
    compared afterwards, with expressions that the primary key does not know. GLOBAL, because a cluster's setting that
    makes each IN one does not reach PREWHERE: each shard would look into a settle_work of its own.
    """
    return (
        f"PREWHERE {key} GLOBAL IN (SELECT {key} FROM {work}) WHERE tenant IN (SELECT tenant FROM {work})\n"
        f"    AND (identity(tenant), identity({key})) IN (SELECT tenant, {key} FROM {work})"
    )
