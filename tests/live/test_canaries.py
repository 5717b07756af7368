"""The canaries: always on show, in nobody's figures, and loud when something breaks."""

import shutil
from pathlib import Path

from sse import Reader
from system import System


def test_canaries_are_on_show_from_the_start_and_in_nobodys_figures(tmp_path: Path) -> None:
    system = System(tmp_path / "data").start()
    try:
        sung = system.post("/v1/canary", {})
        ready = system.request("GET", "/readyz")[2]
        system.flush()
        usage = system.get("usage")
        conversations = system.get("conversations")
        workflow_canaries = sung.pop("workflow")
    finally:
        assert system.stop() == 0

    assert ready["canary"] == {**sung, "workflow": workflow_canaries}
    assert sung["ok"]
    assert sung["readable_after_ms"] > 0
    assert workflow_canaries["ok"]
    assert usage["usage"]["llm_calls"] == 0
    assert conversations["items"] == []


def test_a_failing_canary_raises_an_event_and_readyz_says_so_until_it_recovers(tmp_path: Path) -> None:
    system = System(tmp_path / "data").start(SPANLEDGER_CANARY_INTERVAL_S="3600")
    spool = system.data_dir / "spool"
    try:
        with Reader(system.port, "/v1/events?type=health") as reader:
            assert system.post("/v1/canary", {})["ok"]
            shutil.move(spool, system.data_dir / "spool-away")
            spool.write_text("in the way")
            failed = system.post("/v1/canary", {})
            status, _, not_ready = system.request("GET", "/readyz")
            told_failed = reader.until_type("health")[-1].data
            spool.unlink()
            shutil.move(system.data_dir / "spool-away", spool)
            told_recovered = reader.until_type("health", 2)[-1].data  # by a canary that nobody has to ask for
            ready = system.request("GET", "/readyz")[0]
    finally:
        system.stop()

    assert not failed["ok"]
    assert status == 503
    assert f"canary: {failed['detail']}" in not_ready["detail"]
    assert (told_failed["action"], told_failed["outcome"]) == ("canary", "failed")
    assert told_failed["detail"] == failed["detail"]
    assert told_recovered["outcome"] == "recovered"
    assert ready == 200
