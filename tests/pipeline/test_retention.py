"""Retention by age: each kind goes after its own days, the books stay and balance."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NODE = Path(__file__).with_name("retention_node.py")
EVERY = {"retain_content_days": 3, "retain_raw_days": 10, "retain_metrics_days": 5}
RAW, METRICS = ["otel_logs", "otel_traces"], ["otel_metrics_gauge"]


def after(folder: Path, days: float, **kept: float) -> dict[str, Any]:
    """What is left when retention looks so many days after the spans came."""
    command = [sys.executable, str(NODE), str(folder / "data"), str(days), json.dumps(kept)]
    paths = os.pathsep.join((str(NODE.parent.parent), os.environ.get("PYTHONPATH", "")))
    environ = {**os.environ, "PYTHONPATH": paths, "TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environ)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert told["balanced"], told["differences"]
    assert told["same_figures"]
    assert told["rows"]["genai_spans"]
    return told


@pytest.mark.parametrize(
    ("days", "texts", "tables"),
    [(2, 3, []), (4.1, 0, []), (6.1, 0, METRICS), (11.1, 0, [*RAW, *METRICS])],
)
def test_each_kind_goes_after_its_days(tmp_path: Path, days: float, texts: int, tables: list[str]) -> None:
    told = after(tmp_path, days, **EVERY)
    assert told["texts"] == texts
    assert told["tables"] == sorted(tables)
    assert (told["rows"]["otel_metrics_gauge"] == 0) == (METRICS[0] in tables)
    assert (told["rows"]["otel_traces"] == told["rows"]["otel_logs"] == 0) == ("otel_traces" in tables)


def test_without_settings_everything_is_kept_for_ever(tmp_path: Path) -> None:
    told = after(tmp_path, 10_000)
    assert (told["texts"], told["tables"], told["days"]) == (3, [], 0)
