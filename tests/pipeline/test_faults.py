"""Full or read-only disks, doors that may not write: what was acknowledged is there, the rest was refused in time."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from acknowledged import Senders
from small_disk import SmallDisk
from system import WITHOUT_CHAT, System

MIB = 1024 * 1024
SOON_S = 10.0  # an answer to a request, whatever is wrong


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path / "disk", "1g")
    yield made
    made.close()


@pytest.fixture
def system(disk: SmallDisk) -> Iterator[System]:
    made = System(disk.folder / "data", roles=WITHOUT_CHAT)
    made.prefix = disk.enter
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def load(system: System) -> Senders:
    """Gentle: what comes is settled too, and the faults are what takes the time."""
    return Senders(f"http://127.0.0.1:{system.otlp_port}", spans=5, threads=2, pause_s=0.05)


def expect_once(system: System, acknowledged: set[str]) -> None:
    """Every acknowledged span is stored, and every stored span is stored and counted once."""
    system.flush()
    query = "SELECT count(), uniqExact(SpanId), groupUniqArray(SpanId) FROM otel_traces WHERE ServiceName = 'test'"
    ((count, distinct, ids),) = system.post("/v1/sql", {"query": query})["data"]
    assert acknowledged
    assert acknowledged - set(ids) == set()
    assert int(count) == int(distinct)
    assert system.get("usage", group_by="service", service="test")["usage"]["input_tokens"] == int(distinct)
    audit = system.get("audit")
    assert audit["balanced"], audit["differences"][:3]


def test_a_disk_that_fills_up_is_told_before_it_is_full(disk: SmallDisk, system: System) -> None:
    system.start()
    senders = load(system)
    senders.wait_for(50)
    disk.fill(leave_bytes=200 * MIB)  # of the 256 that ClickHouse is left
    senders.wait_for_refusal(503)
    status, _, told = system.request("GET", "/readyz")
    assert (status, told["problems"][0][:5]) == (503, "disk:")
    disk.empty()
    senders.wait_for(50)
    acknowledged = senders.stop()
    assert set(senders.refused) == {503}
    assert senders.slowest_s < SOON_S
    expect_once(system, acknowledged)
    assert system.post("/v1/canary", {})["ok"]  # one may have been sent while there was no room
    status, _, told = system.request("GET", "/readyz")
    assert status == 200, told["problems"]
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True], ids=["and emptied", "killed, and emptied"])
def test_a_disk_without_a_byte_left(disk: SmallDisk, system: System, killed: bool) -> None:
    system.start(SPANLEDGER_MIN_FREE_BYTES="0")
    senders = load(system)
    senders.wait_for(50)
    disk.fill(leave_bytes=0)  # what is in the spool by now fits no more into ClickHouse
    senders.wait_for_refusal(503)
    if killed:
        system.kill()
        acknowledged = senders.stop()
        disk.empty()
        system.start(SPANLEDGER_MIN_FREE_BYTES="0")
    else:
        disk.empty()
        senders.wait_for(50)
        acknowledged = senders.stop()
    assert set(senders.refused) == {503}
    assert senders.slowest_s < SOON_S
    expect_once(system, acknowledged)
    assert system.stop() == 0


def test_a_door_that_may_not_write_refuses_until_it_may(tmp_path: Path) -> None:
    system = System(tmp_path / "data", roles=WITHOUT_CHAT).start()
    senders = load(system)
    senders.wait_for(50)
    assert system.process is not None
    children = Path(f"/proc/{system.process.pid}/task").glob("*/children")
    (door,) = {int(pid) for listing in children for pid in listing.read_text().split()}
    resource.prlimit(door, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))  # as an I/O error of the disk
    senders.wait_for_refusal(503)
    resource.prlimit(door, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    senders.wait_for(50)
    acknowledged = senders.stop()
    assert set(senders.refused) == {503}
    expect_once(system, acknowledged)
    assert system.request("GET", "/readyz")[2]["ingest"]["worker_restarts"] == 0
    assert system.stop() == 0


@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_a_read_only_data_folder_is_refused_with_a_sentence(disk: SmallDisk, system: System, used: bool) -> None:
    if used:
        assert system.start().stop() == 0
    disk.make_read_only()
    system.launch()
    assert system.wait_ready(60)
    assert system.process is not None
    assert system.process.wait(30) == 2
    assert "Read-only file system" in system.stderr()
    assert "Traceback" not in system.stderr()
