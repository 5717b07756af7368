"""Stops 10 to 14: what runs by itself, and what is kept."""

import json
import tempfile
from pathlib import Path

from spanledger.tour.tourist import Tourist


def jobs(tour: Tourist) -> None:
    """Background jobs and schedules"""
    once = tour.post("/v1/jobs", {"workflow": "assistant", "content": "What is 2 + 2?"})["job_id"]
    nightly = tour.post("/v1/jobs", {"content": "Write the report.", "schedule": "0 3 * * *"})
    ran = tour.until(
        lambda: tour.get(f"/v1/jobs/{once}"), lambda job: job["attempts"] and job["attempts"][0]["usage"], "the job"
    )
    tour.delete(f"/v1/jobs/{nightly['job_id']}")
    cancelled = tour.get(f"/v1/jobs/{nightly['job_id']}")
    attempt = ran["attempts"][0] if ran["attempts"] else {}
    tour.proof.add("GET /v1/jobs/{id}", state=ran["state"], attempt=attempt.get("state"), usage=attempt.get("usage"))
    tour.proof.add("POST /v1/jobs (cron), then DELETE", next_run_at=nightly["next_run_at"], state=cancelled["state"])


def audit_trail(tour: Tourist) -> None:
    """Security and audit"""
    tour.put(f"/v1/prompts/audited-{tour.name}", {"text": "hello"})
    tour.status("/v1/conversations/x/messages", {"content": ""})  # a validation failure, which counts
    found = tour.until(
        lambda: [e for e in tour.get("/v1/audit-log", limit=200)["items"] if tour.name in json.dumps(e)],
        bool,
        "the change is not in the audit log",
    )
    tour.proof.add("GET /v1/audit-log", entry={k: v for k, v in found[0].items() if v} if found else {})
    report = tour.get("/v1/compliance")
    tour.proof.add(
        "GET /v1/compliance", **{name: value for name, value in report.items() if name not in ("from", "to")}
    )


def analysis(tour: Tourist) -> None:
    """Conversation analysis and sealed statements"""
    tour.say("I will send the report by Friday. Thank you, this is great!")
    sealed = tour.post(f"/v1/conversations/{tour.name}/seal", {})
    tour.say("One more thing: what is 3 * 3?", workflow="assistant")  # late: it corrects the statement
    corrected = tour.post(f"/v1/conversations/{tour.name}/seal", {})
    found = tour.get(f"/v1/conversations/{tour.name}/analysis")
    tour.proof.add("POST …/seal", **_figures(sealed))
    tour.proof.add("POST …/seal after another message", **_figures(corrected))
    tour.proof.add("GET …/analysis", analysis=found["analysis"] or found["missing_because"])
    tour.proof.traces += [found["analysis"]["trace_id"]] if found["analysis"] else []
    tour.proof.check(corrected["version"] == sealed["version"] + 1, "the late message did not correct the statement")


def _figures(statement: dict[str, object]) -> dict[str, object]:
    return {
        name: statement[name]
        for name in ("version", "messages", "usage", "corrects", "difference")
        if name in statement
    }


def history(tour: Tourist) -> None:
    """Import of history, twice"""
    lines = [
        {"conversation_id": tour.name, "role": "user", "content": "Is it balanced?", "at": "2026-03-01T09:00:00Z"},
        {"conversation_id": tour.name, "role": "assistant", "content": "To the digit.", "at": "2026-03-01T09:00:02Z"},
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for _ in range(2):
            tour.import_history("jsonl", file, tour.api)
    tour.settle()
    found = tour.get(f"/v1/conversations/{tour.name}")
    messages = tour.get(f"/v1/conversations/{tour.name}/messages")["items"]
    tour.proof.traces += [message["trace_id"] for message in messages]
    tour.proof.add("GET /v1/conversations/{id}", messages=found["message_count"], first_at=found["first_at"])
    tour.proof.check(found["message_count"] == 2, "the second import was not idempotent")


def behaviour(tour: Tourist) -> None:
    """Behaviour and health"""
    tour.say("hello")
    tour.status(f"/v1/conversations/{tour.name}/messages", {"content": "hello", "model": "offline/error-500"})
    tour.post("/v1/canary", {})
    tour.settle()
    for what in ("users", "workflows", "errors"):
        found = tour.get(f"/v1/behaviour/{what}")
        tour.proof.add(f"GET /v1/behaviour/{what}", **found)
    health = tour.get("/readyz")
    tour.proof.add("GET /readyz", **{name: health[name] for name in health if "canar" in name})
