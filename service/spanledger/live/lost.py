"""Runs that ended with the process that ran them: found at the next start, and ended as abandoned."""

import secrets
import time
from pathlib import Path

from spanledger.store import queries
from spanledger.store.client import Store
from spanledger.telemetry import Telemetry, semconv
from spanledger.telemetry.lost import LostSpan

_DAYS = 30  # a run that was lost longer ago stays as it is
_NODE_FILE = "node"


def node_of(data_dir: Path) -> str:
    """The name of this data folder among all that report to the same ClickHouse; made once."""
    file = data_dir / _NODE_FILE
    if not file.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        file.write_text(secrets.token_hex(8))
    return file.read_text().strip()


def instance_of(node: str) -> str:
    """A name for this process; the node's begins it."""
    return f"{node}-{secrets.token_hex(4)}"


def mark_lost(store: Store, telemetry: Telemetry, service: str, node: str, instance: str) -> int:
    """Ends what earlier processes of this node left running; how many those were.

    Everything that they had sent must have been loaded. Each run is given the span that it lacks, with its own ids:
    doing it twice is a repetition of the same span, and what had happened inside finds its parent again.
    """
    rows = store.dicts(
        queries.sql("live_lost"), {"service": service, "node": node + "-", "instance": instance, "days": _DAYS}
    )
    for row in rows:
        attributes = {key: value for key, value in row["attributes"].items() if not key.startswith("code.")}
        workflow = attributes.get(semconv.WORKFLOW_NAME, "")
        telemetry.lost_span(
            LostSpan(
                trace_id=row["trace_id"],
                span_id=row["span_id"],
                name=f"{semconv.INVOKE_WORKFLOW} {workflow}".strip(),
                start_ns=row["start_ns"],
                end_ns=time.time_ns(),
                attributes={**attributes, semconv.OPERATION_NAME: semconv.INVOKE_WORKFLOW},
            )
        )
    return len(rows)
