"""What the command line draws: on a real terminal, and in plain text elsewhere."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from otlp_make import trace_request
from spanledger.cli import output, trace
from spanledger.cli.output import Branch, first_line, print_tree, spent

COLOUR, HIDE_CURSOR = "\x1b[1m", "\x1b[?25l"


def on_terminal(*arguments: str | Path, **environ: str) -> tuple[int, str]:
    """Exit code, and all that a terminal of 100 columns is sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "spanledger.cli", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environ},
    )
    os.close(theirs)
    sent = b"".join(_until_closed(ours))
    os.close(ours)
    return process.wait(60), sent.decode()


def _until_closed(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(descriptor, 1 << 16)
        except OSError:  # the other side has closed
            return
        if not piece:
            return
        yield piece


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data folder with a hostile span in it, and what a terminal was sent while it was loaded."""
    folder = tmp_path_factory.mktemp("terminal")
    error = {"code": 2, "message": 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no luck'}
    spans = [{"name": "evil\x1b]0;owned\x07 \x1b[31mred", "status": error}]
    (folder / "a.pb").write_bytes(trace_request(*spans, trace_id=bytes(range(16))).SerializeToString())
    code, sent = on_terminal("ingest", folder / "a.pb", "--data-dir", folder / "data")
    assert code == 0, sent
    return folder / "data", sent


def test_progress_is_drawn_on_a_terminal(loaded: tuple[Path, str]) -> None:
    assert HIDE_CURSOR in loaded[1]
    assert "settling" in loaded[1]
    assert "1 files: 1 spans loaded and settled" in loaded[1]


def test_quiet_shows_no_progress(loaded: tuple[Path, str]) -> None:
    code, sent = on_terminal("audit", "-q", "--data-dir", loaded[0])
    assert (code, HIDE_CURSOR in sent, "balanced" in sent) == (0, False, True)


def test_colours_follow_no_color(loaded: tuple[Path, str]) -> None:
    _, coloured = on_terminal("migrate", "--status", "-q", "--data-dir", loaded[0])
    _, plain = on_terminal("migrate", "--status", "-q", "--data-dir", loaded[0], NO_COLOR="1")
    assert "\x1b[32mapplied" in coloured
    assert "\x1b[3" not in plain
    assert "applied" in plain


def test_foreign_text_steers_no_terminal_and_a_stack_trace_is_one_line(loaded: tuple[Path, str]) -> None:
    _, sent = on_terminal("trace", bytes(range(16)).hex(), "-q", "--data-dir", loaded[0])
    assert "\x1b]" not in sent
    assert "\x1b[31mred" not in sent
    assert "evil\\x1b]0;owned\\x07 \\x1b[31mred" in sent
    assert "ERROR ValueError: no luck" in sent
    assert "Traceback" not in sent


def test_help_of_a_terminal_has_boxes_and_examples() -> None:
    code, sent = on_terminal("sql", "--help")
    assert (code, "╭" in sent, "SHOW TABLES" in sent) == (0, True, True)


def drawn(root: Branch) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        print_tree(root)
    return out.getvalue()


def test_an_unknown_cost_is_no_amount() -> None:
    told = [spent("0", "unpriced"), spent("0", "failed"), spent("0", "computed"), spent("0.5", "mixed")]
    assert told == ["unpriced", "failed", "$0 computed", "$0.5 mixed"]


def test_a_tree_in_plain_text_is_whole_and_without_colours() -> None:
    long = "x" * 500
    tree = Branch("root", "bold", [Branch(f"a {long}", "red", [Branch("below\nit")]), Branch("b [tool] :smile:")])
    assert drawn(tree) == f"root\n├── a {long}\n│   └── below it\n└── b [tool] :smile:\n"


def test_a_tree_of_any_depth_is_drawn() -> None:
    root = branch = Branch("0")
    for depth in range(1, 3000):
        branch.below.append(Branch(str(depth)))
        branch = branch.below[0]
    lines = drawn(root).splitlines()
    assert len(lines) == 3000
    assert max(map(len, lines)) < 4 * output.DEEPEST + 10


def span(name: str, parent: str | None) -> dict[str, Any]:
    texts = dict.fromkeys(("role", "model", "status", "error_type", "status_message"), "")
    return {"span_id": name, "parent_span_id": parent, "name": name, "duration_ms": 1.0, "usage": None,
            "anomalies": [], **texts}  # fmt: skip


def test_spans_on_a_cycle_of_parents_are_shown() -> None:
    roots = trace._roots([span("a", None), span("b", "a"), span("c", "d"), span("d", "c"), span("e", "gone")])
    assert [root.text.split("  ")[0] for root in roots] == ["a", "e", "(cycle) c", "(cycle) d"]
    assert [below.text.split("  ")[0] for below in roots[0].below] == ["b"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("one\ntwo", "one"),
        ("Traceback (most recent call last):\n  x\nKeyError: 'a'\n", "KeyError: 'a'"),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_a_message_is_one_line(text: str, line: str) -> None:
    assert first_line(text) == line


def test_prices_as_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spanledger.cli", "prices", "show", "gpt-4o-mini", "--provider", "openai", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["steps"][0]["rates"]["input"] == "0.15"
