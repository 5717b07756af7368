"""Dependencies of the nodes of the graphs."""

from dataclasses import dataclass

from spanledger.telemetry import GenAI
from spanledger.workflows.calls import Caller
from spanledger.workflows.retriever import Retriever
from spanledger.workflows.tools import Toolbox


@dataclass(frozen=True, slots=True)
class Parts:
    """Made once for all graphs. Without a retriever the workflows that look things up fail."""

    caller: Caller
    genai: GenAI
    toolbox: Toolbox
    retriever: Retriever | None = None
