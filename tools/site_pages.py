"""MkDocs hook: the READMEs and other pages outside `docs` become pages of the site, and links follow them."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# In the repository → on the site.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "threat-model.md",
    "clickhouse/README.md": "clickhouse.md",
    "collector/README.md": "collector.md",
}
INSIDE = {page: path for path, page in OUTSIDE.items()}
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_FENCE = re.compile(r"(```.*?^ *```|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    for path, page in OUTSIDE.items():
        if (ROOT / path).exists():
            files.append(File.generated(config, page, content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    source = page.file.src_uri
    path = INSIDE.get(source, f"docs/{source}")

    def follow(found: re.Match[str]) -> str:
        return found[1] + _on_site(found[2], path, source) + found[3]

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("`") else _LINK.sub(follow, part) for part in parts)


def _on_site(link: str, path: str, page: str) -> str:
    """A link of the file at `path`, as the page needs it."""
    if "://" in link or link.startswith("mailto:"):
        return link
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    if (ROOT / target).is_dir():
        target += "/README.md"
    on_site = OUTSIDE.get(target, target.removeprefix("docs/"))
    return posixpath.relpath(on_site, posixpath.dirname(page) or ".")
