"""What spans say together: whose parent is whose, and what each inherits from those above it."""

from typing import Any

import numpy as np
import pyarrow as pa

from spanledger.ledger.forest import Bools, Forest, Texts, objects, one_chunk

INHERITED = (
    "conversation_id",
    "user_id",
    "message_id",
    "correlation_id",
    "workflow",
    "agent",
    "prompt",
    "prompt_version",
    "variant",
)


class Context:
    """The forest with every inherited value, per row."""

    def __init__(self, table: pa.Table) -> None:
        self.forest = Forest(table)
        self.parents: list[int] = self.forest.parent.tolist()
        self.values: dict[str, Texts] = {name: self.forest.inherited(name) for name in INHERITED}
        # A tool's name reaches the calls made inside it, not its siblings.
        self.values["tool"] = self.forest.inherited("tool", whole_trace=False)
        explicit = self.values["message_id"]
        traces = objects(table["trace_id"])
        self.explicit_message: Bools = explicit != ""
        self.values["message_id"] = np.where(self.explicit_message, explicit, traces)

    def at(self, row: int) -> dict[str, str]:
        return {name: values[row] for name, values in self.values.items()}


def as_mask(column: Any) -> Bools:
    """An Arrow column of booleans as an array."""
    mask: Bools = one_chunk(column).to_numpy(zero_copy_only=False).astype(bool)
    return mask
