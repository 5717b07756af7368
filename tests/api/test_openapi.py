"""The OpenAPI document: complete, stable, and enough to generate a client that works."""

import gzip
import hashlib
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanledger.api.app import app_with_routes
from spanledger.api.documentation import ASSETS
from spanledger.api.openapi import operations
from spanledger.settings import Settings
from system import System
from tenants import own_tenant

SNAPSHOT = Path(__file__).parent / "openapi.json"
VERBS = (
    "add|cancel|check|create|delete|evaluate|explain|export|find|flush|get|give|lift|list|put|replay|retry|revoke|run|seal|"
    "search|send|stream"
)


FILES = (  # what a document may come as; the generator knows none of them
    *("text/plain", "text/markdown", "application/pdf"),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
)
ROWS = {"application/x-ndjson", "application/vnd.apache.parquet"}  # of exports


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return app_with_routes(Settings()).openapi()


def test_the_document_is_the_snapshot(document: dict[str, Any]) -> None:
    assert document == json.loads(SNAPSHOT.read_text()), "if the change is meant: make openapi"


def test_every_operation_has_a_name_that_a_person_would_choose(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(names) == sorted(set(names))
    assert [name for name in names if not re.fullmatch(rf"({VERBS})(_[a-z0-9]+)*", name)] == []


def test_every_operation_is_described_and_belongs_to_a_tag_with_a_text(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, method, operation in operations(document):
        assert operation.get("description"), f"{method} {path} needs a docstring"
        assert set(operation["tags"]) <= described, f"{method} {path}: the tag needs a text in openapi.py"


def test_every_parameter_has_a_meaning_and_bounds(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            where = f"{method} {path}: {parameter['name']}"
            assert parameter.get("description"), where
            assert _bounded(parameter["schema"]), where


def _bounded(schema: dict[str, Any]) -> bool:
    kinds = [schema, *schema.get("anyOf", ())]
    limits = {"maxLength", "maximum", "enum", "maxItems", "const", "pattern", "format"}
    return any(limits & set(kind) or kind.get("type") == "boolean" for kind in kinds)


def test_every_answer_is_a_named_schema(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if "$ref" in response or status == "204":
                continue
            for kind, content in response["content"].items():
                named = "$ref" in content["schema"] or kind.startswith("text/") or kind in ROWS
                assert named, f"{method} {path} {status} {kind}"


def test_every_operation_declares_its_problems(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert {"422", "5XX"} <= set(operation["responses"]), f"{method} {path}"
        if "{" in path:
            assert "404" in operation["responses"], f"{method} {path}"
    for response in document["components"]["responses"].values():
        assert response["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem")


def test_what_is_removed_is_answered_with_204(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if method == "DELETE":
            assert {status for status in operation["responses"] if status.startswith("2")} == {"204"}, path


def test_usage_is_exact_in_the_document(document: dict[str, Any]) -> None:
    usage = document["components"]["schemas"]["Usage"]["properties"]
    assert usage["cost_usd"]["type"] == "string"
    assert re.fullmatch(usage["cost_usd"]["pattern"], "0.000123")
    assert usage["cost_state"]["enum"] == ["billed", "computed", "estimated", "unpriced", "mixed"]


def test_the_document_is_served(system: System, document: dict[str, Any]) -> None:
    assert system.request("GET", "/openapi.json")[2] == document


def test_the_page_for_people_comes_whole_from_the_installation(system: System) -> None:
    status, headers, page = system.request("GET", "/docs")
    assert status == 200
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.decode())
    assert len(loaded) == 5
    for path in loaded:
        assert path.startswith("/"), f"{path} is not ours"
        assert system.request("GET", path)[0] == 200
    assert system.request("GET", "/docs/manifest.json")[0] == 404
    assert "<script>" not in page.decode()


def test_foreign_parts_of_the_page_are_what_the_manifest_says() -> None:
    manifest = json.loads((ASSETS / "manifest.json").read_text())
    assert manifest["licence"] == "Apache-2.0"
    ours = {"index.html", "initializer.js", "manifest.json"}
    found = {path.name.removesuffix(".gz"): unpacked(path) for path in ASSETS.iterdir() if path.name not in ours}
    assert manifest["sha256"] == {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, deflate, br", "gzip"), ("*", "gzip"), ("gzip;q=0, br", "identity"), ("br", "identity"), ("", "identity")],
)
def test_the_script_of_the_page_is_sent_as_the_client_takes_it(system: System, accepted: str, encoding: str) -> None:
    target = "/docs/swagger-ui-bundle.js"
    status, headers, body = system.request("GET", target, Accept_Encoding=accepted)
    assert (status, headers["content-encoding"], headers["vary"]) == (200, encoding, "Accept-Encoding")
    script = gzip.decompress(body) if encoding == "gzip" else body
    assert (
        hashlib.sha256(script).hexdigest() == json.loads((ASSETS / "manifest.json").read_text())["sha256"][target[6:]]
    )
    assert int(headers["content-length"]) == len(body)
    assert headers["content-type"].startswith("text/javascript")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == system.request("GET", "/docs")[1]["content-security-policy"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a client's package, generated from the snapshot."""
    folder = tmp_path_factory.mktemp("client")
    config = folder / "config.yml"
    config.write_text(
        "package_name_override: spanledger_client\nproject_name_override: spanledger-client\npost_hooks: []\n"
        "content_type_overrides:\n  application/x-ndjson: text/csv\n"
        + "".join(f"  {kind}: application/octet-stream\n" for kind in FILES)
    )
    made = subprocess.run(
        [
            sys.executable,
            "-m",
            "openapi_python_client",
            "generate",
            f"--path={SNAPSHOT}",
            f"--output-path={folder / 'out'}",
            f"--config={config}",
            "--fail-on-warning",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder / "out"))
    yield "spanledger_client"
    sys.path.remove(str(folder / "out"))


def test_a_generated_client_works(system: System, client: str) -> None:
    def operation(area: str, name: str) -> Any:
        return importlib.import_module(f"{client}.api.{area}.{name}")

    generated = importlib.import_module(client)
    with (
        own_tenant(system) as tenant,
        generated.AuthenticatedClient(base_url=f"http://127.0.0.1:{system.port}", token=tenant.key) as connection,
    ):
        models = importlib.import_module(f"{client}.models")
        asked = models.NewMessage(content="hello", user_id="ann")
        reply = operation("chat", "send_message").sync("generated", client=connection, body=asked)
        assert isinstance(reply, models.Reply)
        system.flush()
        page = operation("conversations", "list_conversations").sync(client=connection, user_id="ann")
        assert [(one.conversation_id, one.usage.cost_usd) for one in page.items] == [
            ("generated", reply.usage.cost_usd)
        ]
        usage = operation("usage", "get_usage").sync(client=connection, group_by=["model"])
        assert usage.groups[0].usage.to_dict() == usage.usage.to_dict() == reply.usage.to_dict()
        missing = operation("conversations", "get_message").sync_detailed("nobody", client=connection)
        assert (missing.status_code, missing.parsed.title) == (404, "Not found")
        limit = models.NewLimit.from_dict({"scope": "user", "usd_per_day": "0.5"})
        assert operation("limits", "put_limit").sync("day", client=connection, body=limit).usd_per_day == "0.5"
        assert operation("limits", "delete_limit").sync_detailed("day", client=connection).status_code == 204
