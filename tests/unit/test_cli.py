"""The command line without a running system: real processes on data folders of their own."""

import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import preloaded
from spanledger.cli.main import main

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def spanledger() -> Run:
    """Runs `spanledger …` and never sees a traceback."""

    def _run(*arguments: str | Path, stdin: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
        program = ["-m", "spanledger.cli", *map(str, arguments)]
        done = preloaded.run(program, 60, {**os.environ, **environ}, stdin)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return _run


@pytest.fixture(scope="module")
def migrated(spanledger: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "data"
    assert spanledger("migrate", "--data-dir", folder).returncode == 0
    return folder


def test_help_is_quick_and_lists_the_commands(spanledger: Run) -> None:
    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    best = 10.0
    for _ in range(3):
        before = cpu()
        shown = spanledger("--help")
        best = min(best, cpu() - before)
    assert shown.returncode == 0
    assert best < 0.35  # of CPU: the machine may be busy
    for command in ("up", "migrate", "sql", "trace", "audit", "ingest", "doctor"):
        assert f"\n  {command} " in shown.stdout


@pytest.mark.parametrize("command", ["migrate", "sql", "trace", "audit", "ingest", "doctor", "reprice", "reconcile"])
def test_every_command_explains_itself_with_examples(spanledger: Run, command: str) -> None:
    shown = spanledger(command, "--help")
    assert shown.returncode == 0
    assert f"spanledger {command}" in shown.stdout.partition("examples:")[2]


def test_version_and_unknown_command(spanledger: Run) -> None:
    assert spanledger("--version").stdout.startswith("spanledger ")
    unknown = spanledger("explode")
    assert (unknown.returncode, "no command 'explode'" in unknown.stderr) == (2, True)


def test_migrate_applies_once_and_shows_it(spanledger: Run, migrated: Path) -> None:
    again = spanledger("migrate", "--data-dir", migrated)
    assert (again.returncode, again.stdout) == (0, "up to date\n")
    status = spanledger("migrate", "--status", "--data-dir", migrated)
    assert status.returncode == 0
    assert "applied  0020_ledger" in status.stdout
    assert "MISSING" not in status.stdout


def test_status_of_an_empty_folder_exits_1(spanledger: Run, tmp_path: Path) -> None:
    status = spanledger("migrate", "--status", "--data-dir", tmp_path / "new")
    assert (status.returncode, "MISSING  0001_otel_traces" in status.stdout) == (1, True)


@pytest.mark.parametrize("command", [["sql", "SELECT 1"], ["audit"], ["trace", "x"]])
def test_a_folder_without_data_is_named_and_not_created(spanledger: Run, tmp_path: Path, command: list[str]) -> None:
    done = spanledger(*command, "--data-dir", tmp_path / "typo")
    assert done.returncode == 2
    assert f"there is no data in {tmp_path / 'typo'}" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_nothing_reads_a_newer_schema(spanledger: Run, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    spanledger("migrate", "--data-dir", folder)
    newer = (
        "from pathlib import Path; from spanledger.store.client import open_embedded;"
        f"s = open_embedded(Path({str(folder)!r}));"
        "s.insert('schema_migrations', ['name', 'checksum', 'state'], [['9999_future', 'x', 'done']]); s.close()"
    )
    subprocess.run([sys.executable, "-c", newer], check=True, timeout=60)
    for command in (["migrate"], ["migrate", "--status"], ["sql", "SELECT 1"], ["audit"], ["doctor"]):
        done = spanledger(*command, "--data-dir", folder)
        assert done.returncode == (1 if command == ["doctor"] else 2)
        assert "newer version (it has 9999_future" in done.stderr + done.stdout
        assert "upgrade spanledger" in done.stderr + done.stdout


@pytest.mark.usefixtures("store")
def test_a_folder_of_another_process_is_named_with_its_owner(spanledger: Run, data_dir: Path) -> None:
    for command in (["sql", "SELECT 1"], ["migrate"], ["audit"]):
        done = spanledger(*command, "--data-dir", data_dir)
        assert done.returncode == 2
        assert f"is in use by process {os.getpid()}; stop it or choose another --data-dir" in done.stderr


def test_sql_in_three_formats_and_from_standard_input(spanledger: Run, migrated: Path) -> None:
    query = "SELECT 1 AS a, 'x' AS b"
    place = ("--data-dir", migrated)
    assert "│ 1 │ x │" in spanledger("sql", query, *place).stdout
    assert spanledger("sql", query, "--format", "csv", *place).stdout == '"a","b"\n1,"x"\n'
    assert json.loads(spanledger("sql", "-", "--format", "json", *place, stdin=query).stdout)["data"] == [[1, "x"]]


def test_sql_that_is_wrong_or_writes_is_refused_on_stderr(spanledger: Run, migrated: Path) -> None:
    for query, why in (
        ("SELEC 1", "Syntax error: failed at position 7 (1) (line 1, col 7): 1"),
        ("DROP TABLE ledger", "only reading is allowed"),
    ):
        done = spanledger("sql", query, "--data-dir", migrated)
        assert (done.returncode, done.stdout) == (2, "")
        assert why in done.stderr


def test_settings_come_from_the_environment_and_flags_win(spanledger: Run, migrated: Path, tmp_path: Path) -> None:
    assert spanledger("sql", "SELECT 1", SPANLEDGER_DATA_DIR=str(migrated)).returncode == 0
    over = spanledger("sql", "SELECT 1", "--data-dir", migrated, SPANLEDGER_DATA_DIR=str(tmp_path / "no"))
    assert over.returncode == 0
    wrong = spanledger("migrate", "--status", SPANLEDGER_PORT="many")
    assert (wrong.returncode, "SPANLEDGER_PORT='many' is not a int" in wrong.stderr) == (2, True)


def test_what_cannot_be_loaded_is_said_before_anything_is_opened(spanledger: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for path, why in (
        (tmp_path / "nothing.pb", "there is no such file or folder"),
        (tmp_path / "notes.txt", "must end in .pb, .json or .jsonl"),
        (tmp_path / "empty", "has no .pb, .json or .jsonl files"),
    ):
        done = spanledger("ingest", path, "--data-dir", tmp_path / "data")
        assert done.returncode == 2
        assert why in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_server_that_is_not_there_is_a_message(spanledger: Run) -> None:
    for url, why in (("http://127.0.0.1:9/", "cannot be reached"), ("tcp://x", "must look like http://")):
        done = spanledger("sql", "SELECT 1", "--clickhouse-url", url)
        assert done.returncode == 2
        assert why in done.stderr


def test_doctor_creates_nothing(spanledger: Run, tmp_path: Path) -> None:
    folder = tmp_path / "not there"
    done = spanledger("doctor", "--data-dir", folder)
    assert (done.returncode, folder.exists()) == (1, False)
    assert "there is no data in" in done.stdout


def test_a_tour_of_nothing_is_an_error(spanledger: Run, tmp_path: Path) -> None:
    for only in ("0", "99", "three", ",", ""):
        done = spanledger("tour", "--only", only, "--data-dir", tmp_path)
        assert done.returncode == 2
        assert "stops are numbers from 1 to 14" in done.stderr


def test_every_command_names_variables_that_are_no_setting(
    spanledger: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPANLEDGER_PROT", "1")
    done = spanledger("sql", "SELECT 1", "--data-dir", tmp_path / "none")
    assert "SPANLEDGER_PROT is no setting; is SPANLEDGER_PORT meant?" in done.stderr


def test_variables_that_are_no_setting_are_named() -> None:
    from spanledger.settings import unknown_variables

    found = unknown_variables({"SPANLEDGER_CAPTURE_CONTEND": "1", "SPANLEDGER_PORT": "1", "PATH": "x"})
    assert found == ["SPANLEDGER_CAPTURE_CONTEND is no setting; is SPANLEDGER_CAPTURE_CONTENT meant?"]
    assert unknown_variables({"SPANLEDGER_ZZ": "1"}) == ["SPANLEDGER_ZZ is no setting"]


def test_the_time_zone_of_the_process_changes_no_column(spanledger: Run, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert spanledger("migrate", "--data-dir", folder).returncode == 0
    query = "SELECT toString(toDateTime(0)), toString(toDateTime64(0, 9)), toStartOfDay(toDateTime(90000))"
    told = {
        zone: spanledger("sql", query, "--format", "csv", "--data-dir", folder, TZ=zone).stdout
        for zone in ("UTC", "Asia/Tokyo")
    }
    assert told["UTC"] == told["Asia/Tokyo"]
    assert "1970-01-01 00:00:00" in told["UTC"]


def test_what_is_empty_says_where_to_look(spanledger: Run, migrated: Path) -> None:
    place = ("--data-dir", migrated)
    nothing = spanledger("sql", "SELECT 1 WHERE 0", *place)
    assert (nothing.returncode, nothing.stdout, "no rows" in nothing.stderr) == (0, "", True)
    trace = spanledger("trace", "nobody", *place)
    query = trace.stderr.partition('spanledger sql "')[2].partition('"')[0]
    assert (trace.returncode, spanledger("sql", query, *place).returncode) == (2, 0)
    assert "`spanledger status`" in spanledger("explain", "nobody", *place).stderr
    assert "no re-pricing is in force" in spanledger("reprice", "--list", *place).stdout


def test_status_loads_neither_the_engine_nor_its_client() -> None:
    program = (
        "import sys; from spanledger.cli import status\n"
        "from spanledger.ingest import dead; from spanledger.ledger import audit_record\n"
        "print([m for m in ('chdb', 'clickhouse_connect', 'numpy', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_format_within_the_statement_names_the_option(spanledger: Run, migrated: Path) -> None:
    refused = spanledger("sql", "SELECT 1 FORMAT TSV", "--data-dir", migrated)
    assert (refused.returncode, "--format" in refused.stderr, "csv" in refused.stderr) == (2, True, True)


def test_verbose_and_quiet(spanledger: Run, migrated: Path) -> None:
    place = ("--data-dir", migrated)
    assert f"opening {migrated}" in spanledger("sql", "SELECT 1", "-v", *place).stderr
    assert spanledger("sql", "SELECT 1 WHERE 0", "--quiet", *place).stderr == ""
    assert "syntax" in spanledger("sql", "SELEC", "-q", *place).stderr.lower()  # errors are still told


@pytest.mark.parametrize(
    "command",
    [["migrate", "--status"], ["audit"], ["reprice", "--list"], ["replay"], ["sql", "SELECT 1"], ["doctor"]],
)
def test_json_is_json_and_nothing_else(spanledger: Run, migrated: Path, command: list[str]) -> None:
    json.loads(spanledger(*command, "--json", "--data-dir", migrated).stdout)


def test_a_reader_that_has_gone_is_exit_code_141(migrated: Path) -> None:
    query = "SELECT repeat('x', 100000) FROM numbers(50)"
    command = [sys.executable, "-m", "spanledger.cli", "sql", query, "--data-dir", str(migrated)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 141


def test_ctrl_c_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Interrupted(io.StringIO):
        def read(self, size: int | None = -1) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Interrupted())
    with pytest.raises(SystemExit) as ended:
        main(["sql", "-"])
    assert (ended.value.code, "spanledger sql: interrupted" in capsys.readouterr().err) == (130, True)
