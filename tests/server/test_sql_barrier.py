"""The barrier of people's SQL with the data on a ClickHouse server: copies are made over HTTP."""

from spanledger.stats.sandbox.sandbox import Sandbox
from spanledger.store.client import Store
from two_tenants import FORMS, OTHER_WORDS, answer, fill, lie_together


def test_no_form_of_a_query_reaches_other_tenants_rows_of_a_server(remote: Store) -> None:
    fill(remote, "mine", str, 3)
    sandbox = Sandbox(remote, "mine")
    queries = [form.format(t="document_chunks") for form in FORMS.values()]
    before = [answer(sandbox.run, query) for query in queries]
    assert [one for one in before if one.startswith("refused: ") and "for enum" not in one] == []
    fill(remote, "other", lambda n: f"{OTHER_WORDS} {n % 3}", 40)
    lie_together(remote)
    after = [answer(sandbox.run, query) for query in queries]
    sandbox.close()
    assert dict(zip(FORMS, after, strict=True)) == dict(zip(FORMS, before, strict=True))
    assert not [one for one in after if OTHER_WORDS in one]
