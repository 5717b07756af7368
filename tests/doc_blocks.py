"""The fenced code blocks of Markdown pages, as tests of the docs read them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (?P<name>[a-z]+)(?:: (?P<value>[^>]*?))? -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """`mark` is the comment right before the block, as `<!-- excerpt -->` or `<!-- server: 4000 -->`."""

    page: Path
    line: int
    language: str
    title: str
    text: str
    mark: str = ""
    value: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        info, before = found["info"].strip(), text[: found.start()]
        title = re.search(r'title="([^"]+)"', info)
        mark = _MARK.search(before)
        yield Block(
            page=page,
            line=before.count("\n") + 1,
            language=info.split()[0] if info else "",
            title=title[1] if title else "",
            text="".join(line.removeprefix(found["indent"]) for line in found["text"].splitlines(True)),
            mark=mark["name"] if mark else "",
            value=(mark["value"] or "") if mark else "",
        )


def pages() -> list[Path]:
    """Every page that readers see: README and its neighbours, docs, and the READMEs of folders."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("collector/*.md")])
