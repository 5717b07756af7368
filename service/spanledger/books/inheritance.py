"""Parents of spans, and the values that each span inherits from its ancestors."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import pyarrow as pa

from spanledger.books.forest import Bools, Forest, Texts, objects, one_chunk

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
        self.values: dict[str, Texts] = {name: self.forest.inherited(name) for name in INHERITED}
        # A tool's name reaches the calls made inside it, not its siblings.
        self.values["tool"] = self.forest.inherited("tool", whole_trace=False)
        explicit = self.values["message_id"]
        traces = objects(table["trace_id"])
        self.explicit_message: Bools = explicit != ""
        self.values["message_id"] = np.where(self.explicit_message, explicit, traces)
        self._empty = dict.fromkeys(self.values, "")

    @cached_property
    def parents(self) -> list[int]:
        return cast(list[int], self.forest.parent.tolist())

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """The values as lists, quicker to look into row by row; what no row has is left out."""
        return {name: values.tolist() for name, values in self.values.items() if (values != "").any()}

    def at(self, row: int) -> dict[str, str]:
        """The own or inherited value of a row."""
        return self._empty | {name: values[row] for name, values in self._by_name.items()}

    def first(self, rows: Sequence[int]) -> dict[str, str]:
        """Of each field the first own or inherited value among these rows."""
        return self._empty | {
            name: next((value for row in rows if (value := values[row])), "") for name, values in self._by_name.items()
        }


def as_mask(column: Any) -> Bools:
    """An Arrow column of booleans as an array."""
    mask: Bools = one_chunk(column).to_numpy(zero_copy_only=False).astype(bool)
    return mask
