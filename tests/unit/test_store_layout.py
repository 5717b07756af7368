"""Statements of the schema on a cluster, and data of another schema."""

import shutil
from pathlib import Path

import pytest

from spanledger import resources
from spanledger.errors import SchemaError
from spanledger.store import migrate
from spanledger.store.client import Store
from spanledger.store.layout import Layout, adapt, distributed

ADD = "ALTER TABLE messages\n    ADD COLUMN IF NOT EXISTS prompt String"
CLUSTER = Layout("books", server=True, cluster="two", keeper=True)


def test_added_columns_come_to_the_local_tables_and_to_the_table_over_all_shards() -> None:
    assert adapt(ADD, CLUSTER) == ADD.replace("messages", "messages ON CLUSTER 'two'")
    assert distributed(ADD, CLUSTER) == [ADD.replace("messages", "books_all.messages ON CLUSTER 'two'")]


def test_without_a_cluster_the_file_is_taken_as_it_stands() -> None:
    assert adapt(ADD, Layout("books")) == ADD
    assert adapt(ADD, Layout("books", server=True)) == ADD
    assert distributed(ADD, Layout("books", server=True)) == []


def test_a_plain_view_is_read_over_all_shards() -> None:
    (_, made) = distributed("CREATE VIEW IF NOT EXISTS odd AS\nSELECT tenant FROM spans", CLUSTER)
    assert made == (
        "CREATE TABLE IF NOT EXISTS books_all.odd ON CLUSTER 'two' AS books.odd "
        "ENGINE = Distributed('two', 'books', 'odd', rand())"
    )


def test_what_is_applied_is_read_over_all_shards_too() -> None:
    (_, made) = distributed("CREATE TABLE IF NOT EXISTS schema_migrations\n(\n    name String\n)", CLUSTER)
    assert "ENGINE = Distributed('two', 'books', 'schema_migrations'" in made


def test_how_local_tables_store_their_parts_is_nothing_for_the_table_over_all_shards() -> None:
    setting = "ALTER TABLE messages MODIFY SETTING min_level_for_wide_part = 1"
    assert adapt(setting, CLUSTER) == setting.replace("messages", "messages ON CLUSTER 'two'")
    assert distributed(setting, CLUSTER) == []


def test_data_of_another_schema_is_refused_with_advice(store: Store, tmp_path: Path) -> None:
    changed = tmp_path / "clickhouse"
    shutil.copytree(resources.folder("clickhouse") / "migrations", changed / "migrations")
    first = min((changed / "migrations").glob("*.sql"))
    first.write_text(first.read_text() + "-- another\n")
    with pytest.raises(SchemaError, match=rf"{first.stem}.*use another data folder.*docs/upgrade.md"):
        migrate.status(store, changed)
