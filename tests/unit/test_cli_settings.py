"""The settings file, `init` that writes it, and `status`: real processes in folders of their own."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from spanledger.errors import SettingsError
from spanledger.settings import Settings, described, find_file, load


def spanledger(folder: Path, *arguments: str | Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    without_file = {name: value for name, value in os.environ.items() if name != "SPANLEDGER_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-m", "spanledger.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={**without_file, **environ},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def written(folder: Path, text: str, name: str = "spanledger.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_flags_go_before_the_environment_before_the_file_before_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, 'host = "10.0.0.1"\nport = 1\notlp_http_port = 1\nmodel_timeout_s = 30\nconsole = false\n')
    found = load({"SPANLEDGER_PORT": "2", "SPANLEDGER_OTLP_HTTP_PORT": "2"}, file, otlp_http_port=3)
    assert (found.host, found.port, found.otlp_http_port, found.otlp_grpc_port) == ("10.0.0.1", 2, 3, 4317)
    assert (found.model_timeout_s, found.console) == (30.0, False)


def test_paths_in_the_file_are_relative_to_it(tmp_path: Path) -> None:
    file = written(tmp_path, 'data_dir = "data"\nprice_book = "/etc/prices.yaml"\n')
    found = load({}, file)
    assert (found.data_dir, found.price_book) == (tmp_path / "data", "/etc/prices.yaml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("prot = 1", "prot is no setting; is port meant"),
        ('port = "8000"', "port must be a int, not '8000'"),
        ("port = true", "port must be a int, not True"),
        ("host = 1", "host must be text in quotes, not 1"),
        ("console = 1", "console must be a bool, not 1"),
        ("port = ", "is not TOML"),
        ("port = 70000", "port must be between 0 and 65535"),
        ("[server]\nport = 1", "server is no setting"),
    ],
)
def test_what_the_file_must_not_say_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load({}, written(tmp_path, text))


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_file(None, {}) is None
    written(tmp_path, "")
    assert find_file(None, {}) == Path("spanledger.toml")
    assert find_file(None, {"SPANLEDGER_CONFIG": "other.toml"}) == Path("other.toml")
    assert find_file(None, {"SPANLEDGER_CONFIG": ""}) is None
    assert find_file(Path("given.toml"), {"SPANLEDGER_CONFIG": "other.toml"}) == Path("given.toml")


def test_init_writes_a_file_that_changes_nothing_and_explains_every_setting(tmp_path: Path) -> None:
    assert spanledger(tmp_path, "init").returncode == 0
    file = tmp_path / "spanledger.toml"
    assert load({}, file) == Settings()
    on = "".join(line.removeprefix("# ") for line in file.read_text().splitlines(True) if " = " in line)
    assert set(tomllib.loads(on)) == {one.name for one in described()}
    active = written(tmp_path, on, "active.toml")
    assert load({}, active, data_dir=Settings().data_dir) == Settings()
    again = spanledger(tmp_path, "init")
    assert (again.returncode, "--force" in again.stderr) == (2, True)
    assert spanledger(tmp_path, "init", "--force").returncode == 0
    assert spanledger(tmp_path, "init", "-").stdout == file.read_text()


def test_commands_read_the_file_of_the_working_folder_and_of_config(tmp_path: Path) -> None:
    written(tmp_path, 'data_dir = "one"')
    other = written(tmp_path, 'data_dir = "two"', "other.toml")
    for arguments, environ, place in (
        ((), {}, "one"),
        (("--config", other), {}, "two"),
        ((), {"SPANLEDGER_CONFIG": "other.toml"}, "two"),
        ((), {"SPANLEDGER_CONFIG": ""}, ".spanledger"),
        (("--data-dir", "three"), {}, "three"),
    ):
        done = spanledger(tmp_path, "audit", *arguments, **environ)
        assert (done.returncode, f"no data in {place}" in done.stderr.replace(f"{tmp_path}/", "")) == (2, True)
    gone = spanledger(tmp_path, "audit", "--config", "gone.toml")
    assert (gone.returncode, "gone.toml cannot be read" in gone.stderr) == (2, True)


def test_tests_of_other_files_read_no_settings_file() -> None:
    assert find_file() is None


def test_verbose_names_the_settings_file(tmp_path: Path) -> None:
    written(tmp_path, 'data_dir = "one"')
    assert "settings file: spanledger.toml" in spanledger(tmp_path, "audit", "-v").stderr
    assert "settings file" not in spanledger(tmp_path, "audit").stderr


def test_status_of_a_folder_where_nothing_runs(tmp_path: Path) -> None:
    done = spanledger(tmp_path, "status", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"], found["running"]) == (1, False, None)
    assert "nothing runs on .spanledger" in spanledger(tmp_path, "status").stdout
    assert not (tmp_path / ".spanledger").exists()


def test_completion_of_commands_and_options(tmp_path: Path) -> None:
    def completed(words: str, count: int) -> list[str]:
        shell = {"_SPANLEDGER_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
        return spanledger(tmp_path, **shell).stdout.split()

    assert completed("spanledger re", 1) == ["reprice", "reconcile", "replay"]
    assert "--dry-run" in completed("spanledger reprice --", 2)
    assert completed("spanledger keys ", 2) == ["create", "list", "revoke"]
