"""Finds the files that are not Python: in a wheel below the package, in a checkout at its top."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `clickhouse` or `dashboards`, wherever this installation carries it."""
    for base in (_PACKAGE / "_data", _PACKAGE.parent.parent):
        if (base / name).is_dir():
            return base / name
    raise FileNotFoundError(f"this installation lacks its {name!r} folder; reinstall spanledger")
