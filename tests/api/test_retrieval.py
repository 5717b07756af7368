"""Documents, what is found in them, and embeddings: every token in the books, every tenant's its own."""

import base64
import json
import struct
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

from platform_calls import call, events, key, named, ok, rows, say, spans
from spanledger.workflows import tokens
from system import System

CATS = "Cats sleep most of the day. A cat purrs when it is content, and hunts at dusk."
BOOKS = "Double-entry bookkeeping posts every amount twice: once as a debit, once as a credit."
SEA = "The tide follows the moon. At spring tide the water rises highest along the coast."


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("retrieval") / "data").start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


@pytest.fixture(scope="module")
def library(system: System) -> dict[str, str]:
    """Three documents by their name, each with its id."""
    return {
        name: ok(system, "POST", "/v1/documents", {"text": text, "name": name})["document_id"]
        for name, text in {"cats": CATS, "books": BOOKS, "sea": SEA}.items()
    }


def upload(system: System, text: str, **headers: str) -> dict[str, Any]:
    document: dict[str, Any] = ok(system, "POST", "/v1/documents", {"text": text}, **headers)
    return document


def form(filename: str, content: bytes, kind: str, **fields: str) -> tuple[bytes, str]:
    """A multipart body and its content type."""
    edge = "edge-of-a-part"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()
    ]
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
    head += f"Content-Type: {kind}\r\n\r\n"
    parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


def test_an_upload_is_cut_embedded_and_kept(system: System) -> None:
    text = "\n\n".join(f"Paragraph {n} speaks of subject {n} and of nothing else at all." for n in range(200))

    status, document = call(
        system, "POST", "/v1/documents", {"text": text, "name": "long", "metadata": {"kind": "test"}, "user_id": "ann"}
    )

    assert status == 201
    assert (document["name"], document["user_id"], document["metadata"]) == ("long", "ann", {"kind": "test"})
    assert document["bytes"] == len(text)
    assert document["chunks"] > 5
    found = ok(system, "GET", f"/v1/documents/{document['document_id']}")
    passages = found.pop("passages")
    assert [passage["chunk"] for passage in passages] == list(range(document["chunks"]))
    assert all(0 < passage["tokens"] <= 256 for passage in passages)
    assert all(f"Paragraph {n} " in " ".join(p["text"] for p in passages) for n in range(200))
    assert found in ok(system, "GET", "/v1/documents")["items"]


def test_an_upload_is_tracked_and_its_tokens_are_in_the_books(system: System) -> None:
    text = f"Unheard of: {uuid.uuid4()}"
    body = {"text": text, "user_id": "payer"}
    status, headers, document = system.request(
        "POST", "/v1/documents", json.dumps(body).encode(), Content_Type="application/json"
    )
    assert status == 201
    trace_id = headers["traceresponse"].split("-")[1]

    found = spans(system, trace_id)

    added = named(found, "add_document")["attributes"]
    assert added["spanledger.document.id"] == document["document_id"]
    assert (added["spanledger.document.chunks"], added["spanledger.document.new"]) == ("1", "true")
    embedding = named(found, "embeddings embed")
    assert embedding["role"] == "embedding"
    assert embedding["attributes"]["gen_ai.embeddings.dimension.count"] == "256"
    usage = ok(system, "GET", "/v1/users/payer/usage")["usage"]
    assert (usage["llm_calls"], usage["input_tokens"]) == (1, tokens.count(text))
    assert Decimal(usage["cost_usd"]) == tokens.count(text) * Decimal("0.00000002")
    told = [e["spanledger.audit.target"] for e in events(system, "spanledger.audit")]
    assert f"document/{document['document_id']}" in told


def test_the_same_content_is_taken_once(system: System) -> None:
    text = f"Once: {uuid.uuid4()}"
    first, again = call(system, "POST", "/v1/documents", {"text": text}), None
    again = call(system, "POST", "/v1/documents", {"text": text, "name": "other"})

    assert (first[0], again[0]) == (201, 200)
    assert (first[1]["new"], again[1]["new"]) == (True, False)
    assert {**again[1], "new": True} == first[1]
    count = rows(system, f"SELECT count() AS n FROM document_chunks WHERE document_id = '{first[1]['document_id']}'")
    assert count == [{"n": 1}]


@pytest.mark.parametrize("kind", ["text/plain", "text/markdown", "text/plain; charset=utf-8", "text/x-markdown"])
def test_a_body_may_be_the_document(system: System, kind: str) -> None:
    text = f"# Größe\n\nIn the body itself: {uuid.uuid4()}"
    status, _, document = system.request(
        "POST", "/v1/documents?name=raw.md&user_id=ann", text.encode(), Content_Type=kind
    )

    assert status == 201
    assert (document["name"], document["user_id"]) == ("raw.md", "ann")
    assert ok(system, "GET", f"/v1/documents/{document['document_id']}")["passages"][0]["text"] == text


def test_a_form_may_hold_the_document(system: System) -> None:
    content = f"# Form\n\n{uuid.uuid4()}".encode()
    body, kind = form("notes.md", content, "application/octet-stream", user_id="ann")
    status, _, document = system.request("POST", "/v1/documents", body, Content_Type=kind)

    assert status == 201
    assert (document["name"], document["content_type"], document["user_id"]) == ("notes.md", "text/markdown", "ann")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"text": ""}', "application/json", 422),
        (b'{"text": " \\n\\t "}', "application/json", 422),
        (b'{"text": "a\\u0000b"}', "application/json", 422),
        (b'{"text": "\\ud800"}', "application/json", 400),
        (b'{"text": 5}', "application/json", 422),
        (b'{"texts": "x"}', "application/json", 422),
        (
            json.dumps({"text": "x", "metadata": {f"k{n}": "v" * 4000 for n in range(5)}}).encode(),
            "application/json",
            422,
        ),
        (b"{", "application/json", 400),
        (b'{"text": "x", "content_type": "text/html"}', "application/json", 422),
        (b"", "text/plain", 422),
        (b"\xff\xfe\x00h", "text/plain", 422),
        (b"\x7fELF\x02\x01\x01\x00\x00", "text/plain", 422),
        (b"%PDF-1.7", "application/pdf", 422),
        (b"text", "", 422),
        (b"x" * (4 * 1024 * 1024 + 1), "text/plain", 413),
        (b"x" * (9 * 1024 * 1024), "text/plain", 413),
        (b"--x\r\n", "multipart/form-data", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
    ],
)
def test_what_is_no_document_is_refused(system: System, body: bytes, kind: str, status: int) -> None:
    answered, headers, problem = system.request("POST", "/v1/documents", body, Content_Type=kind)

    assert answered == status, problem
    assert headers["content-type"] == "application/problem+json"


def test_a_page_of_another_site_uploads_nothing(system: System) -> None:
    answered = system.request(
        "POST", "/v1/documents", b"planted", Content_Type="text/plain", Sec_Fetch_Site="cross-site"
    )

    assert answered[0] == 403


@pytest.mark.parametrize(
    "text",
    ["a" * 300_000, "\n" * 1000 + "x", "🦄" * 50_000, "x" + " " * 1_200_000, ". " * 50_000, "e" + "\u0301" * 50_000],
)
def test_odd_texts_are_cut_like_others(system: System, text: str) -> None:
    document = upload(system, text)

    passages = ok(system, "GET", f"/v1/documents/{document['document_id']}")["passages"]
    assert passages
    assert all(0 < passage["tokens"] <= 256 for passage in passages)
    ok(system, "DELETE", f"/v1/documents/{document['document_id']}")


def test_search_finds_what_is_meant(system: System, library: dict[str, str]) -> None:
    for question, name in (("When do cats purr?", "cats"), ("debit and credit", "books"), ("moon and tide", "sea")):
        best = ok(system, "POST", "/v1/retrieval/search", {"query": question})["items"][0]
        assert best["document_id"] == library[name]
        assert best["name"] == name
        assert 0 < best["score"] <= 1


def test_search_is_bounded(system: System, library: dict[str, str]) -> None:
    items = ok(system, "POST", "/v1/retrieval/search", {"query": "cats", "top_k": 2})["items"]
    assert len(items) == 2
    assert items[0]["score"] >= items[1]["score"]
    only = ok(
        system, "POST", "/v1/retrieval/search", {"query": "cats", "document_ids": [library["sea"]], "min_score": -1}
    )["items"]
    assert {item["document_id"] for item in only} == {library["sea"]}
    for body in ({"query": ""}, {"query": "x", "top_k": 0}, {"query": "x", "top_k": 101}, {"query": "x", "k": 1}, {}):
        assert call(system, "POST", "/v1/retrieval/search", body)[0] == 422


def test_rag_answers_from_passages_and_tracks_them(system: System, library: dict[str, str]) -> None:
    answer = say(system, "rag-1", "When do cats purr?", workflow="rag", user_id="reader")

    assert answer["usage"]["llm_calls"] == 2, "the embedding of the question and the answer"
    assert answer["sources"][0]["document_id"] == library["cats"]
    found = spans(system, answer["trace_id"])
    retrieval = named(found, "retrieval documents")
    assert retrieval["role"] == "retrieval"
    hits = json.loads(retrieval["attributes"]["gen_ai.retrieval.documents"])
    assert [hit["id"] for hit in hits] == [source["document_id"] for source in answer["sources"]]
    assert retrieval["attributes"]["spanledger.document.hits"] == str(len(hits))
    assert "gen_ai.retrieval.query.text" not in retrieval["attributes"], "content stays out unless it is wanted"
    chat = named(found, "chat small")
    assert chat["usage"]["input_tokens"] > tokens.count(CATS), "the passages were in the prompt"
    assert ok(system, "GET", f"/v1/messages/{answer['message_id']}")["usage"] == answer["usage"]
    decision = ok(system, "GET", f"/v1/agents/rag/decisions?trace_id={answer['trace_id']}")["items"][-1]
    assert (decision["node"], decision["kind"], decision["choice"][0]) == ("retrieve", "retrieval", library["cats"])


def test_rag_does_not_carry_passages_into_the_next_question(system: System, library: dict[str, str]) -> None:
    first = say(system, "rag-2", "When do cats purr?", workflow="rag")
    second = say(system, "rag-2", "And the tide?", workflow="rag")

    assert first["sources"][0]["document_id"] == library["cats"]
    assert second["sources"][0]["document_id"] == library["sea"]


def test_searches_are_counted(system: System, library: dict[str, str]) -> None:
    system.flush()
    before = ok(system, "GET", "/v1/retrieval/usage")
    for _ in range(3):
        ok(system, "POST", "/v1/retrieval/search", {"query": "purring cats", "top_k": 1})
    system.flush()

    after = ok(system, "GET", "/v1/retrieval/usage")

    assert after["searches"] - before["searches"] == 3
    assert after["hits"] - before["hits"] == 3
    assert after["embeddings"]["llm_calls"] - before["embeddings"]["llm_calls"] == 3
    counts = [{d["document_id"]: d["searches"] for d in usage["documents"]} for usage in (before, after)]
    assert counts[1][library["cats"]] - counts[0].get(library["cats"], 0) == 3


def test_a_removed_document_is_found_no_more(system: System) -> None:
    text = f"Ephemeral zyzzyva {uuid.uuid4()}"
    document = upload(system, text)["document_id"]
    assert ok(system, "POST", "/v1/retrieval/search", {"query": text})["items"][0]["document_id"] == document

    ok(system, "DELETE", f"/v1/documents/{document}")

    found = ok(system, "POST", "/v1/retrieval/search", {"query": text, "top_k": 100})["items"]
    assert document not in {item["document_id"] for item in found}
    assert call(system, "GET", f"/v1/documents/{document}")[0] == 404
    assert call(system, "DELETE", f"/v1/documents/{document}")[0] == 404
    left = rows(system, f"SELECT text, vector FROM document_chunks FINAL WHERE document_id = '{document}'")
    assert left == [], "its words are overwritten when parts merge"
    assert upload(system, text)["document_id"] == document, "and it may come back"
    assert ok(system, "POST", "/v1/retrieval/search", {"query": text})["items"][0]["document_id"] == document


def test_documents_of_another_tenant_do_not_exist(system: System, library: dict[str, str]) -> None:
    acme = key(system, "acme", "admin")
    theirs = upload(system, CATS, **acme)["document_id"]

    assert theirs != library["cats"]
    assert [d["document_id"] for d in ok(system, "GET", "/v1/documents", **acme)["items"]] == [theirs]
    hits = ok(system, "POST", "/v1/retrieval/search", {"query": "cats", "top_k": 100, "min_score": -1}, **acme)["items"]
    assert {hit["document_id"] for hit in hits} == {theirs}
    mine = ok(system, "POST", "/v1/retrieval/search", {"query": "cats", "document_ids": [theirs]})["items"]
    assert mine == []
    assert call(system, "GET", f"/v1/documents/{library['cats']}", **acme)[0] == 404
    assert call(system, "DELETE", f"/v1/documents/{library['cats']}", **acme)[0] == 404
    assert rows(system, f"SELECT count() AS n FROM documents WHERE document_id = '{library['cats']}'", **acme) == [
        {"n": 0}
    ]
    asked = ok(
        system, "POST", "/v1/conversations/a/messages", {"content": "How do cats purr?", "workflow": "rag"}, **acme
    )
    assert {source["document_id"] for source in asked["sources"]} == {theirs}
    system.flush()
    assert library["cats"] not in json.dumps(ok(system, "GET", "/v1/retrieval/usage", **acme))


def test_documents_come_in_pages(system: System, library: dict[str, str]) -> None:
    everything = [d["document_id"] for d in ok(system, "GET", "/v1/documents?limit=1000")["items"]]
    seen: list[str] = []
    cursor = ""
    while True:
        page = ok(system, "GET", f"/v1/documents?limit=2&cursor={cursor}")
        seen += [d["document_id"] for d in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break

    assert seen == everything
    assert len(set(seen)) == len(seen)
    for bad in ("x", base64.urlsafe_b64encode(b'["a", 1]').decode(), base64.urlsafe_b64encode(b"[9e99, 1]").decode()):
        assert call(system, "GET", f"/v1/documents?cursor={bad}")[0] == 422


def test_embeddings_speak_openais_language(system: System) -> None:
    texts = ["one text", "and another one"]
    secret = key(system, "default", "chat")["Authorization"].removeprefix("Bearer ")
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{system.port}/v1", api_key=secret, max_retries=0)
    with client:
        answer = client.embeddings.create(model="offline/embed", input=texts, user="embedder")
        alone = client.embeddings.create(
            model="offline/embed", input=texts[1], encoding_format="float", user="embedder"
        )
    system.flush()

    assert [item.index for item in answer.data] == [0, 1]
    assert answer.data[1].embedding == pytest.approx(alone.data[0].embedding, abs=1e-6)
    used = sum(tokens.count(text) for text in texts)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == used
    usage = ok(system, "GET", "/v1/users/embedder/usage")["usage"]
    assert (usage["llm_calls"], usage["input_tokens"], usage["output_tokens"]) == (2, used + tokens.count(texts[1]), 0)
    assert usage["cost_state"] == "computed"
    assert ok(system, "GET", "/v1/usage?operation=embeddings&user=embedder")["usage"] == usage


def test_embeddings_belong_to_the_conversation_of_their_request(system: System) -> None:
    conversation = {"X_Conversation_ID": "of-vectors"}
    ok(system, "POST", "/v1/embeddings", {"input": "hello", "user": "ada", "dimensions": None}, **conversation)
    system.flush()
    usage = ok(system, "GET", "/v1/usage?conversation=of-vectors&user=ada")["usage"]
    assert usage["llm_calls"] == 1


def test_embeddings_in_many_forms(system: System) -> None:
    def embed(**body: Any) -> Any:
        return ok(system, "POST", "/v1/embeddings", body)

    assert len(embed(input=["x"] * 130)["data"]) == 130
    assert embed(input=[1, 2, 3])["usage"]["prompt_tokens"] == 3
    assert [item["index"] for item in embed(input=[[1, 2], [3]])["data"]] == [0, 1]
    packed = embed(input="hello", encoding_format="base64")["data"][0]["embedding"]
    assert struct.unpack("<256f", base64.b64decode(packed)) == pytest.approx(
        embed(input="hello")["data"][0]["embedding"]
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"input": ""}, 422),
        ({"input": []}, 422),
        ({"input": ["x", ""]}, 422),
        ({"input": "  "}, 422),
        ({"input": [[]]}, 422),
        ({"input": [-1]}, 422),
        ({"input": ["x"] * 2049}, 422),
        ({"input": "x", "encoding_format": "hex"}, 422),
        ({"input": "x", "model": "offline/none"}, 404),
        ({"input": "x", "model": "no-such-provider-at-all"}, 404),
        ({"input": "x", "api_base": "http://127.0.0.1:9"}, 422),
        ({"input": "\ud800"}, 422),
    ],
)
def test_embeddings_that_cannot_be(system: System, body: dict[str, Any], status: int) -> None:
    answered, problem = call(system, "POST", "/v1/embeddings", body)

    assert answered == status, problem
    assert problem["error"]["message"], "what OpenAI's clients read"


def test_who_may_read_may_not_upload(system: System) -> None:
    reader, talker = key(system, "acme", "read"), key(system, "acme", "chat")

    assert call(system, "GET", "/v1/documents", **reader)[0] == 200
    assert call(system, "POST", "/v1/documents", {"text": "x"}, **reader)[0] == 403
    assert call(system, "POST", "/v1/retrieval/search", {"query": "x"}, **reader)[0] == 403
    assert call(system, "POST", "/v1/retrieval/search", {"query": "x"}, **talker)[0] == 200
    assert call(system, "POST", "/v1/embeddings", {"input": "x"}, **talker)[0] == 200
    assert call(system, "GET", "/v1/documents", **talker)[0] == 403
