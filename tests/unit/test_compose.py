"""docker-compose.yml as far as it can be checked without an engine: it parses, and everything it names is there."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from spanledger import __version__
from spanledger.settings import ROLES, Settings

ROOT = Path(__file__).parents[2]
BASE = "docker-compose.yml"
OVERLAY = "docker-compose.cluster.yml"


def parsed(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return document


def variables(text: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)", text))


@pytest.mark.parametrize("name", [BASE, OVERLAY])
def test_every_mounted_file_exists_and_every_volume_is_declared(name: str) -> None:
    declared = parsed(BASE)["volumes"]
    for service in parsed(name)["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in declared, mount


@pytest.mark.parametrize("name", [BASE, OVERLAY])
def test_dependencies_exist_and_whoever_is_waited_for_healthy_has_a_health_check(name: str) -> None:
    services = parsed(BASE)["services"]
    for given in parsed(name)["services"].values():
        for other, how in given.get("depends_on", {}).items():
            known = {**services.get(other, {}), **parsed(OVERLAY)["services"].get(other, {})}
            assert known, other
            if how["condition"] == "service_healthy":
                assert "healthcheck" in known


def test_images_are_pinned_and_logs_are_bounded() -> None:
    for name, service in parsed(BASE)["services"].items():
        assert re.search(r":[0-9][\w.]*$", service["image"]), name
        assert service["logging"]["options"]["max-size"], name


def test_the_image_of_the_service_has_the_version_of_the_package() -> None:
    for name in (BASE, OVERLAY):
        assert set(re.findall(r"image: spanledger:(\S+)", (ROOT / name).read_text())) == {__version__}


def test_files_that_a_service_starts_with_are_mounted() -> None:
    """The image holds the installed package alone, no checkout."""
    for name, service in parsed(BASE)["services"].items():
        mounted = {mount.split(":")[1] for mount in service.get("volumes", [])}
        for word in (*service.get("entrypoint", []), *service.get("command", [])):
            if word.endswith(".py"):
                assert word in mounted, name


def test_every_password_comes_from_the_example_file_and_has_no_default() -> None:
    text = (ROOT / BASE).read_text() + (ROOT / OVERLAY).read_text()
    offered = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert variables(text) <= offered
    for use in re.findall(r"\$\{\w*PASSWORD[^}]*\}", text):
        assert ":?" in use, use
    assert not re.search(r"^\w*PASSWORD=.+$", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_the_collector_of_compose_and_of_the_builder_are_one_version() -> None:
    built = yaml.safe_load((ROOT / "collector" / "builder.yaml").read_text())["dist"]["version"]
    assert parsed(BASE)["services"]["collector"]["image"].endswith(f":{built}")
    assert f'EXPORTER = "{built}"' in (ROOT / "tools" / "collector_check.py").read_text()
    assert f"COLLECTOR_VERSION := v{built}" in (ROOT / "Makefile").read_text()


def test_profiles_are_the_documented_ones() -> None:
    used = {profile for service in parsed(BASE)["services"].values() for profile in service.get("profiles", [])}
    head = (ROOT / BASE).read_text().split("name: spanledger")[0]
    assert used == {"together", "apart", "demo", "cluster"}
    assert all(f"`{profile}`" in head for profile in used)


def test_each_way_to_run_the_service_has_every_role_once() -> None:
    """Together or apart: settlement, chat and API; OTLP is the Collector's."""
    services = parsed(BASE)["services"]
    for profile in ("together", "apart"):
        flags = [flag for s in services.values() if profile in s.get("profiles", []) for flag in s["command"]]
        roles = [role for flag in flags if flag.startswith("--roles=") for role in flag.split("=")[1].split(",")]
        assert sorted(roles) == sorted(set(ROLES) - {"ingest"})


def test_on_a_cluster_everything_but_migrations_works_over_all_shards() -> None:
    """And waits for both shards' migrations: by itself, or behind the check of the Collector."""
    base, overlay = parsed(BASE)["services"], parsed(OVERLAY)["services"]
    named = ("SPANLEDGER_CLICKHOUSE_URL", "SPANLEDGER_CLICKHOUSE_DATABASE")
    for name, service in base.items():
        uses = {**service.get("environment", {}), **overlay.get(name, {}).get("environment", {})}
        databases = [uses[key].rsplit("/", 1)[-1] for key in named if key in uses]
        waits = {**service.get("depends_on", {}), **overlay.get(name, {}).get("depends_on", {})}
        if databases and name != "migrate":
            assert databases == ["spanledger_all"], name
            assert {"migrate-2", "collector-check"} & set(waits), name
    assert parsed(OVERLAY)["services"]["migrate-2"]["environment"]["SPANLEDGER_CLICKHOUSE_URL"].endswith("/spanledger")


def test_every_service_that_stays_up_says_how_its_health_is_known_and_comes_back() -> None:
    for name, service in parsed(BASE)["services"].items():
        if service["restart"] == "no":
            continue
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service, name


def test_settings_of_services_are_ones_that_exist() -> None:
    known = {f"SPANLEDGER_{field.name.upper()}" for field in fields(Settings)}
    for name in ("spanledger", "settler", "api", "chat", "demo"):
        given = parsed(BASE)["services"][name]["environment"]
        assert set(given) <= known, name


def test_listeners_stay_on_this_machine_unless_told_otherwise() -> None:
    for service in parsed(BASE)["services"].values():
        for port in service.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${SPANLEDGER_BIND:-127.0.0.1}:")), port
