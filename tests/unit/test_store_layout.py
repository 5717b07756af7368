"""A migration that adds columns, on a cluster."""

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
