"""The tables of dialects, and the view generated from them."""

from spanledger import resources
from spanledger.dialects import tables


def test_the_committed_view_is_what_the_tables_say() -> None:
    committed = (resources.folder("clickhouse") / "views" / "genai_spans_mv.sql").read_text()
    assert committed == tables.view_sql(), "run python -m spanledger.dialects.tables"
