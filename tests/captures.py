"""What other people's instrumentations sent, with the truth of what the provider served (captures.tar.xz).

`Capture.judge` compares the answers of a running system with the truth, field by field. A field is judged only where
the spans carry it: figures by the truth file's own mark, names by standing anywhere in the bodies.
"""

import json
import tarfile
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from system import System

ARCHIVE = Path(__file__).parent / "fixtures" / "captures.tar.xz"
FIGURES = (
    "llm_calls",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
# Marked as carried because the number happens to stand somewhere in the bodies, which do not carry the fact.
NOT_CARRIED = {
    ("langfuse", "stream_abort", "input_tokens"): "only the minute of a time stamp reads 39",
    ("litellm-otel", "tool_shared_metadata", "llm_calls"): "the span of the second call was never sent",
    ("mastra", "stream_usage", "model"): "the served model stands on a step below the call",
    (
        "openinference-llama-index",
        "agent_rich",
        "model",
    ): "the served model stands in the agent's messages, not on its calls",
    ("openinference-llama-index", "tool", "model"): "the served model stands in the agent's messages, not on its calls",
    (
        "openllmetry-google-genai",
        "agent_rich",
        "tools",
    ): "only the definition of the tool is told, not that it was used",
    ("openllmetry-google-genai", "tool", "tools"): "only the definition of the tool is told, not that it was used",
    ("mlflow", "agent", "model"): "the served model stands in the agent's messages, not on its calls",
    ("openinference-litellm", "tool", "model"): "one of the two calls does not name the served model",
}


@dataclass(frozen=True)
class Judgement:
    """One field of one scenario: right | missing (not in the spans) | wrong."""

    field: str
    verdict: str
    expected: Any
    found: Any
    states: tuple[str, ...]


@dataclass(frozen=True)
class Capture:
    dialect: str
    scenario: str
    truth: dict[str, Any]
    bodies: tuple[tuple[str, bytes], ...]  # content type, OTLP trace export body

    def __str__(self) -> str:
        return f"{self.dialect}/{self.scenario}"

    def judge(self, answers: "Answers") -> list[Judgement]:
        """Every field that the truth file knows."""
        lines = [line for trace in self.truth["trace_ids"] for line in answers.lines.get(trace, ())]
        states = tuple(sorted({line["cost_state"] for line in lines if int(line["llm_calls"])}))
        expected, carried = self.truth["expected"], self.truth["carried"]
        result = []
        for field in FIGURES:
            if expected[field] is None:
                continue
            found = sum(int(line[field]) for line in lines)
            told = carried[field] and (self.dialect, self.scenario, field) not in NOT_CARRIED
            result.append(Judgement(field, _verdict(found == expected[field], told), expected[field], found, states))
        return result + self._names(lines, answers, states)

    def _names(self, lines: list[dict[str, Any]], answers: "Answers", states: tuple[str, ...]) -> list[Judgement]:
        calls = [line for line in lines if int(line["llm_calls"])]
        asked = {tool for trace in self.truth["trace_ids"] for tool in answers.tools_requested.get(trace, ())}
        found = {field: {line[column] for line in calls} - {""} for field, column in _COLUMNS.items()}
        found["tools"] = {line["tool"] for line in lines if int(line["tool_calls"])} | asked
        expected = {"tools": set(self.truth["expected"]["tools"])}
        if any(call["billable"] for call in self.truth["served"]):
            expected["model"] = set(self.truth["expected"]["model"])
            expected["provider"] = set(self.truth["expected"]["provider"])
            expected["conversation"] = {self.truth["conversation_id"]} - {None}
            expected["user"] = {self.truth["user_id"]} - {None}
        sent = b"\n".join(body for _, body in self.bodies)
        result = []
        for field, names in expected.items():
            if not names:
                continue
            right = names <= found[field] if field == "tools" else names == found[field]
            told = all(name.encode() in sent for name in names)
            if names == {GATEWAY}:
                right, told = (
                    bool(found[field]) and "openai" not in found[field],
                    any(host in sent for host in GATEWAY_HOSTS),
                )
            told = told and (self.dialect, self.scenario, field) not in NOT_CARRIED
            result.append(Judgement(field, _verdict(right, told), sorted(names), sorted(found[field]), states))
        return result


_COLUMNS = {"model": "model", "provider": "provider", "conversation": "conversation_id", "user": "user_id"}
GATEWAY = "openai-compatible gateway (not openai)"
GATEWAY_HOSTS = (b"gateway.internal.example", b"mygateway")  # how spans name it, where they do


class Answers:
    """What the running system says, by trace: the sums of the ledger's lines, and the tools that models asked for."""

    def __init__(self, system: System) -> None:
        self.lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.tools_requested: dict[str, list[str]] = {}
        names = ["trace_id", "cost_state", *_COLUMNS.values(), "tool"]
        sums = [*FIGURES, "tool_calls"]
        query = f"SELECT {', '.join(names)}, {', '.join(f'toString(sum({s}))' for s in sums)} FROM ledger GROUP BY ALL"
        for row in system.post("/v1/sql", {"query": query})["data"]:
            line = dict(zip(names + sums, row, strict=True))
            self.lines[line["trace_id"]].append(line)
        query = "SELECT trace_id, groupUniqArrayArray(tools_requested) FROM genai_spans GROUP BY trace_id"
        self.tools_requested.update(map(tuple, system.post("/v1/sql", {"query": query})["data"]))


def _verdict(right: bool, told: bool) -> str:
    return "right" if right else "wrong" if told else "missing"


@cache
def all_captures() -> tuple[Capture, ...]:
    """Those that have trace bodies, by dialect and scenario."""
    with tarfile.open(ARCHIVE) as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive.getmembers() if m.isfile()}  # type: ignore[union-attr]
    captures = []
    for name, raw in sorted(files.items()):
        if not name.endswith(".truth.json"):
            continue
        dialect, truth = name.split("/")[0], json.loads(raw)
        bodies = [
            (b["content_type"], files[f"{dialect}/{b['file']}"]) for b in truth["bodies"] if b["signal"] == "traces"
        ]
        if bodies:
            captures.append(Capture(dialect, truth["scenario"], truth, tuple(bodies)))
    return tuple(captures)
