"""The lock file: exact, hashed, the same versions as the constraints, and free of addresses."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    return {name.lower().replace("_", "-"): version for name, version in _PIN.findall(text)}


def test_every_package_of_the_lock_file_has_hashes_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(entries) > 50
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert re.search(r"https?://|--index|--find-links|/\w+/", text) is None


def test_the_lock_file_and_the_constraints_agree() -> None:
    locked, wanted = pins((ROOT / "requirements.lock").read_text()), pins((ROOT / "constraints.txt").read_text())
    differing = {
        name: (wanted[name], locked[name]) for name in wanted.keys() & locked.keys() if wanted[name] != locked[name]
    }
    assert differing == {}, "run `make lock`"
