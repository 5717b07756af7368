"""Migrations are appended, never edited: data folders hold the checksum of each one that they were migrated by."""

import hashlib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
LANDED = ROOT / "tests" / "fixtures" / "migrations.sha256"


def test_no_migration_is_edited() -> None:
    """After adding one: `sha256sum clickhouse/migrations/*.sql > tests/fixtures/migrations.sha256`."""
    landed = {name: digest for digest, name in (line.split() for line in LANDED.read_text().splitlines())}
    found = {
        str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((ROOT / "clickhouse" / "migrations").glob("*.sql"))
    }
    assert found == landed


def test_reworded_migrations_are_there_with_another_text() -> None:
    for name, digest in yaml.safe_load((ROOT / "clickhouse" / "reworded.yaml").read_text()).items():
        path = ROOT / "clickhouse" / "migrations" / f"{name}.sql"
        assert hashlib.sha256(path.read_bytes()).hexdigest() != digest
