"""Every recorded dialect and scenario comes out as the provider served it, or says what it does not know."""

import os
from collections import defaultdict
from pathlib import Path

import pytest

from captures import Answers, Capture, Judgement, all_captures
from system import System

DIALECTS = Path(__file__).parents[2] / "docs" / "dialects.md"
BEGIN, END = "<!-- captures: begin -->", "<!-- captures: end -->"

Judged = dict[Capture, list[Judgement]]


@pytest.fixture(scope="module")
def judged(system: System) -> dict[str, list[Judgement]]:
    """All captures sent as they were recorded, each body once, then everything settled."""
    for capture in all_captures():
        for content_type, body in capture.bodies:
            status, _, answer = system.request("POST", "/v1/traces", body, system.otlp_port, Content_Type=content_type)
            assert status == 200, answer
    system.flush()
    answers = Answers(system)
    return {str(capture): capture.judge(answers) for capture in all_captures()}


@pytest.mark.parametrize("capture", all_captures(), ids=str)
def test_what_the_spans_carry_comes_out_right(judged: dict[str, list[Judgement]], capture: Capture) -> None:
    assert [j for j in judged[str(capture)] if j.verdict == "wrong"] == []


def test_what_is_missing_is_never_priced_as_if_known(judged: dict[str, list[Judgement]]) -> None:
    """A call of which no tokens are known must not be `computed`."""
    for name, judgements in judged.items():
        lost = {j.field: j for j in judgements if j.verdict == "missing"}
        if "input_tokens" in lost and "output_tokens" in lost and lost["input_tokens"].found == 0:
            assert set(lost["input_tokens"].states) & {"unpriced", "estimated", "mixed"}, name


def test_the_same_again_changes_nothing(system: System, judged: dict[str, list[Judgement]]) -> None:
    for capture in all_captures()[::7]:
        for content_type, body in capture.bodies:
            system.request("POST", "/v1/traces", body, system.otlp_port, Content_Type=content_type)
    system.flush()
    answers = Answers(system)
    assert {str(capture): capture.judge(answers) for capture in all_captures()} == judged


def test_the_books_of_all_captures_balance(system: System, judged: dict[str, list[Judgement]]) -> None:
    report = system.get("audit")
    assert report["balanced"], report["differences"][:5]


def test_the_table_in_the_docs_is_current(judged: dict[str, list[Judgement]]) -> None:
    """`SPANLEDGER_WRITE_DOCS=1 make test` writes it."""
    text = DIALECTS.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    wanted = f"{head}{BEGIN}\n{_table(judged)}{END}{tail}"
    if os.environ.get("SPANLEDGER_WRITE_DOCS"):
        DIALECTS.write_text(wanted)
    assert DIALECTS.read_text() == wanted


def _table(judged: dict[str, list[Judgement]]) -> str:
    right: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    scenarios: dict[str, int] = defaultdict(int)
    missing: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, judgements in judged.items():
        dialect, scenario = name.split("/")
        scenarios[dialect] += 1
        carried = [j for j in judgements if j.verdict != "missing"]
        right[dialect] += sum(j.verdict == "right" for j in carried)
        total[dialect] += len(carried)
        lost = [j for j in judgements if j.verdict == "missing"]
        if lost:
            state = ", ".join(sorted({s for j in lost for s in j.states})) or "no served call"
            missing[dialect][f"{', '.join(j.field for j in lost)} ({state})"].append(scenario)
    lines = ["| dialect | right of carried | missing in its spans (state of the calls): scenarios |", "|---|---|---|"]
    for dialect in sorted(total):
        gaps = [
            f"{fields}: {'all' if len(names) == scenarios[dialect] else ', '.join(names)}"
            for fields, names in missing[dialect].items()
        ]
        lines.append(f"| {dialect} | {right[dialect]}/{total[dialect]} | {'<br>'.join(gaps) or '–'} |")
    return "\n".join(lines) + "\n"
