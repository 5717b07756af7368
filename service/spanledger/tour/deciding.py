"""Stops 6 to 9: what people decide and think."""

from spanledger.tour.tourist import Tourist

USERS = 12


def prompts(tour: Tourist) -> None:
    """Prompts, profiles, model registry, preferences"""
    name, alias = f"greet-{tour.name}", f"fast-{tour.name}"
    registry = tour.get("/v1/model-registry")
    known = {a: {k: v for k, v in entry.items() if k != "prices"} for a, entry in registry["models"].items()}
    before = {"default": registry["default"], "only_registered": registry["only_registered"], "models": known}
    tour.put("/v1/model-registry", {**before, "models": {**known, alias: {"model": "offline/small"}}}, before)
    tour.put(f"/v1/prompts/{name}", {"text": "Greet {{ who }} briefly."})
    tour.put(f"/v1/prompts/{name}", {"text": "Greet {{ who }} warmly."})
    tour.put(f"/v1/users/user-{tour.name}/preferences", {"tone": "formal", "language": "en"}, {})
    for version in (1, 2):
        reply = tour.say("hello", prompt=f"{name}@{version}", variables={"who": "Ada"}, model=alias)
        tour.post(f"/v1/messages/{reply['message_id']}/feedback", {"rating": 1 if version == 2 else -1})
    effect = tour.until(
        lambda: tour.get(f"/v1/prompts/{name}/effectiveness"), lambda e: len(e["versions"]) == 2, "effectiveness"
    )
    tour.proof.add(f"GET /v1/prompts/{name}/effectiveness", versions=effect["versions"])
    by_prompt = tour.get("/v1/usage", group_by="prompt", prompt=name)["usage"]
    tour.proof.add("GET /v1/usage?group_by=prompt", calls=by_prompt["llm_calls"], cost=by_prompt["cost_usd"])
    tour.proof.check(by_prompt["llm_calls"] == 2, "the books do not know the prompt")


def experiments(tour: Tourist) -> None:
    """A/B tests"""
    name = f"size-{tour.name}"
    variants = [{"name": "small", "model": "offline/small"}, {"name": "large", "model": "offline/large"}]
    tour.put(f"/v1/experiments/{name}", {"status": "running", "variants": variants})
    try:
        for number in range(USERS):
            tour.say("hello", conversation=f"{tour.name}-{number}", user=f"{tour.name}-{number}")
        tour.settle()
        results = tour.get(f"/v1/experiments/{name}/results")
    finally:
        tour.put(f"/v1/experiments/{name}", {"status": "ended", "variants": variants})
    for variant in results["variants"]:
        tour.proof.add(f"GET /v1/experiments/{name}/results", **variant)
    users = sum(variant["users"] for variant in results["variants"])
    tour.proof.check(users == USERS, f"{users} of {USERS} users were dealt a variant")


def feedback(tour: Tourist) -> None:
    """Feedback and evaluations"""
    message = tour.say("What is a ledger?")["message_id"]
    tour.put(f"/v1/evaluators/brief-{tour.name}", {"check": {"kind": "length", "unit": "words", "max": 500}})
    tour.put(f"/v1/evaluators/judge-{tour.name}", {"check": {"kind": "judge", "criteria": "Does it answer?"}})
    tour.post(f"/v1/messages/{message}/feedback", {"rating": 1, "comment": "clear"})
    names = [f"brief-{tour.name}", f"judge-{tour.name}"]
    tour.post(f"/v1/messages/{message}/evaluations", {"evaluators": names})
    found = tour.until(
        lambda: tour.get(f"/v1/messages/{message}/evaluations")["items"], lambda items: len(items) >= 3, "evaluations"
    )
    for item in found:
        shown = {name: item.get(name) for name in ("name", "evaluator", "score", "label", "explanation")}
        tour.proof.add("GET /v1/messages/{id}/evaluations", **shown)


def limits(tour: Tourist) -> None:
    """Limits and budgets"""
    rate, budget = f"rate-{tour.name}", f"budget-{tour.name}"
    user = f"user-{tour.name}"
    tour.put(f"/v1/limits/{rate}", {"scope": "user", "match": user, "requests_per_minute": 2})
    tour.put(f"/v1/limits/{budget}", {"scope": "user", "match": f"poor-{user}", "usd_per_day": "0.000001"})
    try:
        path = f"/v1/conversations/{tour.name}/messages"
        answers = [tour.status(path, {"content": "hello", "user_id": user}) for _ in range(3)]
        poor = tour.status(path, {"content": "hello", "user_id": f"poor-{user}"})
        tour.proof.add("POST …/messages, three times", status=[status for status, _ in answers])
        refused = answers[-1][1]
        tour.proof.add("the third", title=refused.get("title", ""), reset_at=refused.get("reset_at", ""))
        tour.proof.add("POST …/messages over a budget", status=poor[0], detail=poor[1].get("detail", ""))
        tour.settle()
        tour.proof.add(f"GET /v1/limits/{rate}", usage=tour.get(f"/v1/limits/{rate}")["usage"])
        tour.proof.check([status for status, _ in answers] == [200, 200, 429], "the limit did not hold")
        tour.proof.check(poor[0] == 402, "the budget did not hold")
    finally:
        tour.delete(f"/v1/limits/{rate}")
        tour.delete(f"/v1/limits/{budget}")
