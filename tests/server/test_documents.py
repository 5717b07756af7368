"""Documents on a ClickHouse server, with the rights of the service alone: no DDL, no DELETE."""

from real_server import Server
from spanledger.retrieval.chunks import Chunk
from spanledger.retrieval.shelf import Origin, Shelf
from spanledger.retrieval.text import new_document

LONG = [0.5] * 1536


def test_documents_are_kept_found_and_removed_with_the_rights_of_the_service(server: Server) -> None:
    store = server.open("app")
    shelf = Shelf(store)
    origin = Origin("acme", "ann", "k1")
    near, far = [1.0, 0.1], [0.0, 1.0]
    chunks = [Chunk("near", 1), Chunk("far", 1)]

    first = shelf.put(origin, "doc_1", new_document("near far", "first"), chunks, [near, far], "m")
    shelf.put(origin, "doc_2", new_document("other", "second"), [Chunk("other", 1)], [LONG], "m")
    shelf.put(Origin("default", "", ""), "doc_3", new_document("near", "theirs"), [Chunk("near", 1)], [near], "m")

    hits = shelf.search("acme", "m", [1.0, 0.0], 10, (), -1)
    assert [(hit.document_id, hit.name, hit.text) for hit in hits] == [
        ("doc_1", "first", "near"),
        ("doc_1", "first", "far"),
    ]
    assert [hit.document_id for hit in shelf.search("acme", "m", LONG, 10, (), -1)] == ["doc_2"]
    assert shelf.search("acme", "other model", [1.0, 0.0], 10, (), -1) == []
    assert shelf.search("acme", "m", [0.0, 0.0], 10, (), -1) == [], "a vector without a direction is near to nothing"
    assert {document.document_id for document in shelf.page("acme", None, 10)} == {"doc_1", "doc_2"}
    assert [row["text"] for row in shelf.text(first, "acme")] == ["near", "far"]

    shorter = shelf.put(origin, "doc_1", new_document("new", "first"), [Chunk("new", 1)], [near], "m")
    assert [hit.text for hit in shelf.search("acme", "m", [1.0, 0.0], 10, (), -1)] == ["new"]
    shelf.remove("acme", shorter)
    assert shelf.search("acme", "m", [1.0, 0.0], 10, (), -1) == []
    assert shelf.document("acme", "doc_1") is None
    store.close()
