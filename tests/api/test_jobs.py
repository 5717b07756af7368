"""Jobs through the real API of a real `up`: now, by schedule, retried, cancelled, and over a crash."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spanledger.jobs import Job, JobBook, Spec
from system import System

Json = dict[str, Any]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("jobs") / "data").start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr()


def order(system: System, status: int = 202, **job: Any) -> Json:
    got, _, body = system.request("POST", "/v1/jobs", json.dumps(job).encode(), Content_Type="application/json")
    assert got == status, body
    answer: Json = body
    return answer


def until(system: System, job_id: str, holds: Callable[[Json], bool], seconds: float = 180) -> Json:
    """The job once it is as wanted; the API is asked again and again, as a caller would."""
    pause, ends = threading.Event(), time.monotonic() + seconds
    while True:
        job: Json = system.get("jobs", job_id)
        if holds(job):
            return job
        assert time.monotonic() < ends, job
        pause.wait(0.05)


def ended(job: Json) -> bool:
    return job["state"] not in {"waiting", "running", "scheduled"}


def settled(system: System) -> None:
    system.flush()


def test_a_job_is_an_ordinary_tracked_execution(up: System) -> None:
    accepted = order(up, content="what is 6*7?", workflow="assistant", conversation_id="by-job", user_id="ann")
    assert (accepted["state"], accepted["attempts"][0]["state"]) == ("waiting", "waiting")
    done = until(up, accepted["job_id"], ended)
    assert (done["state"], done["error"], len(done["attempts"])) == ("succeeded", None, 1)
    settled(up)
    attempt = until(up, accepted["job_id"], lambda job: job["attempts"][0]["usage"] is not None)["attempts"][0]
    message = up.get("messages", attempt["message_id"])
    assert (message["conversation_id"], message["user_id"], message["trace_id"]) == (
        "by-job",
        "ann",
        attempt["trace_id"],
    )
    assert attempt["usage"] == message["usage"]
    assert message["usage"]["llm_calls"] == 2
    spans = up.get("traces", attempt["trace_id"])["spans"]
    assert spans[0]["name"] == "job assistant"
    assert {span["attributes"].get("spanledger.job.id") for span in spans} == {accepted["job_id"]}
    assert {span["attributes"].get("spanledger.source") for span in spans} == {"job"}
    assert up.get("audit")["balanced"]


def test_content_continues_the_conversation_and_messages_bring_their_own(up: System) -> None:
    first = until(up, order(up, content="my word is plum", conversation_id="long")["job_id"], ended)
    second = until(up, order(up, content="and now?", conversation_id="long")["job_id"], ended)
    own = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "and now?"}]
    third = until(up, order(up, messages=own)["job_id"], ended)
    settled(up)
    tokens = [
        until(up, job["job_id"], lambda found: found["attempts"][0]["usage"] is not None)["attempts"][0]["usage"]
        for job in (first, second, third)
    ]
    assert tokens[1]["input_tokens"] > tokens[0]["input_tokens"]
    assert tokens[1]["input_tokens"] > tokens[2]["input_tokens"]


def test_a_failed_attempt_is_retried_as_often_as_was_asked_and_each_has_its_trace(up: System) -> None:
    accepted = order(up, content="hi", model="offline/error-500", retries=2, retry_delay_s=0)
    failed = until(up, accepted["job_id"], lambda job: ended(job) and len(job["attempts"]) == 3)
    assert [one["attempt"] for one in failed["attempts"]] == [3, 2, 1]
    assert {one["state"] for one in failed["attempts"]} == {"failed"}
    assert len({one["trace_id"] for one in failed["attempts"]}) == 3
    assert failed["attempts"][0]["error_type"] == "500"
    settled(up)
    job = until(up, accepted["job_id"], lambda found: all(one["usage"] for one in found["attempts"]))
    assert [one["usage"]["failed_calls"] for one in job["attempts"]] == [3, 3, 3]
    assert up.get("messages", job["attempts"][0]["message_id"])["status"] == "error"


def test_what_cannot_be_better_the_next_time_is_not_retried(up: System) -> None:
    accepted = order(up, content="hi", model="offline/error-400", retries=5, retry_delay_s=0)
    failed = until(up, accepted["job_id"], ended)
    assert (failed["state"], len(failed["attempts"])) == ("failed", 1)
    assert failed["attempts"][0]["error_type"] == "400"


def test_an_ended_job_runs_again_on_retry(up: System) -> None:
    job = until(up, order(up, content="again")["job_id"], ended)
    status, _, _ = up.request("POST", f"/v1/jobs/{job['job_id']}/retry")
    assert status == 202
    again = until(up, job["job_id"], lambda found: ended(found) and found["runs"] == 2)
    assert [one["run"] for one in again["attempts"]] == [2, 1]


def test_a_running_job_shows_progress_and_can_be_cancelled(up: System) -> None:
    job_id = order(up, content="hi", model="offline/error-500", fallbacks=["offline/error-500"] * 5, retries=3)[
        "job_id"
    ]
    running = until(up, job_id, lambda job: bool(job["progress"] and job["progress"]["failed_calls"]))
    assert running["state"] == "running"
    assert running["progress"]["elapsed_ms"] > 0
    status, _, refused = up.request("POST", f"/v1/jobs/{job_id}/retry")
    assert (status, "is running" in refused["detail"]) == (422, True)
    assert up.request("DELETE", f"/v1/jobs/{job_id}")[0] == 204
    cancelled = up.get("jobs", job_id)
    assert (cancelled["state"], len(cancelled["attempts"])) == ("cancelled", 1)
    settled(up)
    assert up.get("messages", cancelled["attempts"][0]["message_id"])["error_type"] == "cancelled"


def test_a_schedule_says_when_it_comes_next_and_ends_with_delete(up: System) -> None:
    job = order(up, content="good morning", schedule="0 7 * * mon-fri")
    assert (job["state"], job["attempts"]) == ("scheduled", [])
    comes = datetime.fromisoformat(job["next_run_at"])
    assert comes > datetime.now(UTC)
    assert (comes.hour, comes.minute) == (7, 0)
    assert up.request("DELETE", f"/v1/jobs/{job['job_id']}")[0] == 204
    ended_job = up.get("jobs", job["job_id"])
    assert (ended_job["state"], ended_job["next_run_at"]) == ("cancelled", None)


@pytest.mark.parametrize(
    ("job", "status", "says"),
    [
        ({}, 422, "either content or messages"),
        ({"content": "x", "messages": [{"role": "user", "content": "y"}]}, 422, "either content or messages"),
        ({"messages": [{"content": "y"}]}, 422, "messages.0.role: Field required"),
        ({"content": "x", "schedule": "every tuesday"}, 422, "is not a cron expression"),
        ({"content": "x", "schedule": "0 0 30 2 *"}, 422, "never comes"),
        ({"content": "x", "retries": -1}, 422, "retries"),
        ({"content": "\ud800"}, 422, "surrogate"),
        ({"content": "x", "colour": "red"}, 422, "colour"),
        ({"content": "x", "workflow": "no-such-workflow"}, 422, "no-such-workflow"),
        ({"content": "x", "schedule": "0 7 * * *", "agent": "nobody"}, 422, "nobody"),
        ({"content": "x", "prompt": "unwritten"}, 422, "unwritten"),
        ({"content": "x", "profile": "nobodys"}, 422, "nobodys"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(up: System, job: Json, status: int, says: str) -> None:
    assert says in order(up, status, **job)["detail"]


def test_unknown_jobs_and_parameters_are_told(up: System) -> None:
    assert up.request("GET", "/v1/jobs/nobody")[0] == 404
    assert up.request("DELETE", "/v1/jobs/nobody")[0] == 404
    assert up.request("GET", "/v1/jobs?colour=red")[0] == 422
    assert up.request("GET", "/v1/jobs?cursor=!!!")[0] == 422


def test_jobs_are_listed_newest_first_in_pages(up: System) -> None:
    mine = [order(up, content=f"page {n}")["job_id"] for n in range(3)]
    first = up.get("jobs", limit=2)
    assert [job["job_id"] for job in first["items"]] == mine[:0:-1]
    second = up.get("jobs", limit=1, cursor=first["next_cursor"])
    assert second["items"][0]["job_id"] == mine[0]


def test_a_crash_abandons_or_retries_what_ran_and_makes_up_for_missed_times(tmp_path: Path) -> None:
    system = System(tmp_path / "data").start()
    slow: Json = {"content": "hi", "model": "offline/error-500", "fallbacks": ["offline/error-500"] * 5}
    given_up = order(system, **slow)["job_id"]
    tried_again = order(system, **slow, retries=1, retry_delay_s=0)["job_id"]
    for job_id in (given_up, tried_again):
        until(system, job_id, lambda job: bool(job["progress"] and job["progress"]["failed_calls"]))
    system.kill()
    last_hour = datetime.now(UTC) - timedelta(hours=1)
    book = JobBook(system.data_dir)
    for name, misfire in (("made-up-for", "run_once"), ("let-go", "skip")):
        spec = Spec(content="hello", schedule="*/10 * * * *", misfire=misfire)
        book.write(job=Job(name, "default", "", "admin", spec, last_hour, last_hour))
    book.write(job=Job("of-another-tenant", "other", "", "admin", Spec(content="x"), last_hour))
    book.close()

    system.start()
    abandoned = system.get("jobs", given_up)
    assert (abandoned["state"], abandoned["attempts"][0]["error_type"]) == ("abandoned", "abandoned")
    retried = until(system, tried_again, lambda job: len(job["attempts"]) == 2)
    assert retried["attempts"][1]["state"] == "abandoned"
    made_up = until(
        system, "made-up-for", lambda job: bool(job["attempts"]) and job["attempts"][0]["state"] == "succeeded"
    )
    assert made_up["runs"] == 1  # one run for the six times missed
    assert datetime.fromisoformat(made_up["next_run_at"]) > datetime.now(UTC)
    let_go = system.get("jobs", "let-go")
    assert (let_go["runs"], datetime.fromisoformat(let_go["next_run_at"]) > datetime.now(UTC)) == (0, True)
    assert system.request("GET", "/v1/jobs/of-another-tenant")[0] == 404
    settled(system)
    spans = system.get("traces", abandoned["attempts"][0]["trace_id"])["spans"]
    assert ("job chat", "abandoned") in {(span["name"], span["error_type"]) for span in spans}
    assert system.stop() == 0
    assert "Traceback" not in system.stderr()
