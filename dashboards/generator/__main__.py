"""Writes dashboards/grafana: `python -m generator [FOLDER]` from the folder dashboards."""

import sys
from pathlib import Path

from generator.build import write

if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "grafana")
