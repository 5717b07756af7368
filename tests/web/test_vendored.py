"""Foreign files that the console ships are what their manifest says."""

import hashlib
import json
import re
from pathlib import Path

import spanledger.web

STATIC = Path(spanledger.web.__file__).parent / "static"
VENDORED = STATIC / "vendor"


def test_every_foreign_file_is_in_the_manifest_with_its_hash_and_licence() -> None:
    packages = json.loads((VENDORED / "manifest.json").read_text())["packages"]
    named = {"manifest.json"}
    for package in packages:
        assert package["version"]
        assert package["license"]
        assert (VENDORED / package["license_file"]).read_text().strip()
        named.add(package["license_file"])
        for name, digest in package["files"].items():
            assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == digest, name
            named.add(name)
    assert {path.name for path in VENDORED.iterdir()} == named


def test_own_scripts_and_templates_hold_nothing_inline() -> None:
    """The content security policy has no unsafe-inline: such code would not run."""
    templates = (Path(spanledger.web.__file__).parent / "templates").glob("*.html")
    for path in templates:
        text = path.read_text()
        assert "style=" not in text, path.name
        assert not re.search(r"\son[a-z]+=", text), path.name
        assert "javascript:" not in text, path.name
        assert "|safe" not in text, path.name


def test_own_scripts_stay_small() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in STATIC.glob("*.js"))
    assert lines < 800
