"""What README and docs say can be done: code blocks are valid, commands and paths exist, links lead somewhere.

A block that is only part of a program stands behind `<!-- excerpt -->`. Blocks are run as well, by
tests/api/test_docs_run.py and, those of docs/quickstart, by tests/quickstarts.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import yaml

from doc_blocks import ROOT, Block, blocks, pages
from spanledger.settings import Settings
from spanledger.store.client import Store

LANGUAGES = {"bash", "console", "http", "js", "json", "python", "sql", "text", "yaml"}
MAX_CELL = 240
GENERATED = ROOT / "docs" / "reference"
ALL_BLOCKS = [block for page in pages() if page.parent != GENERATED for block in blocks(page)]


def of(*languages: str) -> list[Block]:
    return [block for block in ALL_BLOCKS if block.language in languages and block.mark != "excerpt"]


@pytest.mark.parametrize("block", ALL_BLOCKS, ids=str)
def test_a_block_names_its_language(block: Block) -> None:
    assert block.language in LANGUAGES


@pytest.mark.parametrize("block", of("json", "yaml", "python"), ids=str)
def test_a_block_parses(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        list(yaml.safe_load_all(block.text))
    else:
        compile(block.text, str(block), "exec", flags=_TOP_LEVEL_AWAIT)


_TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@pytest.mark.parametrize("block", of("bash", "console"), ids=str)
def test_the_commands_of_a_block_exist(block: Block) -> None:
    for command in commands(block):
        words = shlex.split(command, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        if words[:1] == ["spanledger"] and len(words) > 1:
            expect_known_flags(words[1:])
        elif words[:1] == ["make"]:
            assert {word for word in words[1:] if re.fullmatch(r"[a-z]+", word)} <= make_targets(), command


@pytest.mark.parametrize("block", of("bash", "console", "http"), ids=str)
def test_the_paths_of_a_block_exist(block: Block) -> None:
    for path in re.findall(r"(?:(?:localhost|127\.0\.0\.1):8000|^[A-Z]+ )(/v1/[^\s?'\"]*)", block.text, re.MULTILINE):
        assert any(pattern.fullmatch(path) for pattern in api_paths()), path


@pytest.mark.parametrize("block", of("bash", "console"), ids=str)
def test_the_variables_of_a_block_are_settings(block: Block) -> None:
    assert set(re.findall(r"\bSPANLEDGER_[A-Z0-9_]+", block.text)) <= variables()


@pytest.mark.parametrize("block", [b for b in of("bash", "console") if "spanledger sql" in b.text], ids=str)
def test_a_query_of_a_block_runs(block: Block, store: Store) -> None:
    for command in commands(block):
        words = shlex.split(command, comments=True)
        if words[:2] == ["spanledger", "sql"]:
            store.query(words[2])


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in links(page.read_text()) if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_has_short_lines_and_cells(page: Path) -> None:
    """Cells of tables may have several lines; none of them is a paragraph."""
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE).splitlines()
    assert [line for line in prose if len(line) > 120 and not line.startswith("|")] == []
    rows = [line for line in prose if line.startswith("|")]
    assert [cell for row in rows for cell in re.split(r"\||<br>", row) if len(cell) > MAX_CELL] == []


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """`make docs` builds it; docs/decisions/README.md lists the decisions."""
    navigation = (ROOT / "mkdocs.yml").read_text()
    decisions = (ROOT / "docs" / "decisions" / "README.md").read_text()
    named = {str(page.relative_to(ROOT / "docs")): page for page in ROOT.glob("docs/**/*.md")}
    listed = {name for name in named if re.search(rf"[ :]{re.escape(name)}$", navigation, re.MULTILINE)}
    listed |= {name for name in named if f"({Path(name).name})" in decisions and name.startswith("decisions/")}
    assert set(named) - listed == set()


def test_the_reference_is_current() -> None:
    """`make references` writes it."""
    checked = subprocess.run(
        [sys.executable, "tools/references.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_column_has_a_meaning() -> None:
    """A comment beside it in its migration, or clickhouse/columns.yaml."""
    text = (GENERATED / "schema.md").read_text()
    assert re.findall(r"^\| `[^`]+` \| `.*` \| +\|$", text, re.MULTILINE) == []


def commands(block: Block) -> Iterator[str]:
    """Whole commands: lines that end in a backslash, or within quotes, go on in the next."""
    text = block.text
    if block.language == "console":
        text = re.sub(r"^(?!\$ | {2,}).*\n?", "", text, flags=re.MULTILINE)
        text = re.sub(r"^\$ ", "", text, flags=re.MULTILINE)
    pending = ""
    for line in text.splitlines():
        pending += line.removesuffix("\\") if line.endswith("\\") else line + "\n"
        if line.endswith("\\") or _is_open(pending):
            continue
        yield from (part for part in re.split(r" (?:&&|\|) ", pending.strip()) if part and not part.startswith("#"))
        pending = ""
    assert not pending.strip(), f"{block}: a quote is not closed"


def _is_open(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return True
    return False


def expect_known_flags(words: list[str]) -> None:
    helped = command_helps()
    if words[0].startswith("-"):
        return
    assert words[0] in helped, f"there is no `spanledger {words[0]}`"
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", helped[words[0]]))
    given = {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
    assert given <= known, f"spanledger {words[0]} has no {given - known}"


@cache
def command_helps() -> dict[str, str]:
    """Command → its help, as docs/reference/cli.md has it; that page is current by a test of its own."""
    parts = re.split(r"^## (\S+).*$", (GENERATED / "cli.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@cache
def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def api_paths() -> list[re.Pattern[str]]:
    document = json.loads((ROOT / "tests" / "api" / "openapi.json").read_text())
    return [re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)) for path in document["paths"]]


@cache
def variables() -> set[str]:
    """Settings, and what the Collector's and Compose's files read."""
    read = [*ROOT.glob("collector/*.yaml"), *ROOT.glob("docker-compose*.yml"), *ROOT.glob("service/**/*.py")]
    named = {name for file in read for name in re.findall(r"\bSPANLEDGER_[A-Z0-9_]+", file.read_text())}
    return named | {f"SPANLEDGER_{field.name.upper()}" for field in fields(Settings)}


def links(text: str) -> list[str]:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"(https?|mailto):", link):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text())


def anchors(text: str) -> set[str]:
    """As GitHub and the site make them of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
