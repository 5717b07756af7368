"""Stops 1 to 5: what happens while a workflow runs."""

import json
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import quote, urlsplit

from spanledger.tour.tourist import TIMEOUT_S, Tourist


def lifecycle(tour: Tourist) -> None:
    """Lifecycle events, live"""
    heard: list[tuple[str, dict[str, object]]] = []
    connection, stream = _listen(tour)

    def listen() -> None:
        for kind, facts in _events(stream):
            heard.append((kind, facts))
            if kind in ("workflow_completed", "workflow_failed"):
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    tour.say("What is 12 * 7?", workflow="assistant")
    listener.join(TIMEOUT_S)
    connection.close()
    kinds = [kind for kind, _ in heard]
    last = heard[-1][1] if heard else {}
    figures = {name: last[name] for name in ("tokens", "cost_usd", "cost", "ms", "duration_ms") if name in last}
    tour.proof.add("GET /v1/events?conversation_id=…", heard=" → ".join(kinds), **figures)
    wanted = {"workflow_started", "node_started", "tool_called", "model_response", "node_completed"}
    tour.proof.check(wanted <= set(kinds) and kinds[-1:] == ["workflow_completed"], f"events were missing: {kinds}")


def _listen(tour: Tourist) -> tuple[HTTPConnection, HTTPResponse]:
    parts = urlsplit(tour.api.url)
    connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_S)
    headers = {"Authorization": f"Bearer {tour.api.token}"} if tour.api.token else {}
    connection.request("GET", f"/v1/events?conversation_id={quote(tour.name)}", headers=headers)
    return connection, connection.getresponse()


def _events(stream: HTTPResponse) -> Iterator[tuple[str, dict[str, object]]]:
    kind = ""
    while line := stream.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and kind:
            yield kind, json.loads(value)


def agents(tour: Tourist) -> None:
    """Agents: versions, performance, decisions"""
    name = f"accountant-{tour.name}"
    definition = {"workflow": "assistant", "instructions": "You check sums.", "model": "offline/small"}
    tour.put(f"/v1/agents/{name}", definition)
    tour.put(f"/v1/agents/{name}", {**definition, "instructions": "You check sums twice."})
    tour.say("Is 19 * 21 equal to 399?", agent=name)
    tour.settle()
    performance = tour.get(f"/v1/agents/{name}/performance")
    decisions = tour.get(f"/v1/agents/{name}/decisions")["items"]
    tour.proof.add(f"GET /v1/agents/{name}/performance", **_some(performance, "runs", "failures", "failed", "usage"))
    tour.proof.add(f"GET /v1/agents/{name}/decisions", decisions=decisions[:2])
    tour.proof.check(bool(decisions), "no decision was recorded")


def tools(tour: Tourist) -> None:
    """Tools: permissions, validation, MCP"""
    server = f"calendar-{tour.name}"
    command = {"command": sys.executable, "args": ["-m", "spanledger.tour.mcp_clock"]}
    tour.put(f"/v1/mcp-servers/{server}", command)
    tour.put("/v1/tool-grants/calculator", {"deny": {"users": [f"mallory-{tour.name}"]}})
    tour.put(f"/v1/agents/clerk-{tour.name}", {"workflow": "assistant", "tools": ["calculator", f"{server}.*"]})
    listed = [tool["name"] for tool in tour.get("/v1/tools")["items"]]
    tour.proof.add("GET /v1/tools", tools=", ".join(listed))
    tour.say("What is 6 * 7?", agent=f"clerk-{tour.name}")
    tour.say(f"Use {server}.weekday for 2026-11-21", agent=f"clerk-{tour.name}")
    tour.say("What is 6 * 7?", agent=f"clerk-{tour.name}", user=f"mallory-{tour.name}")
    tour.settle()
    used = tour.get("/v1/tools/calculator/usage")
    foreign = tour.get(f"/v1/tools/{server}.weekday/usage")
    tour.proof.add("GET /v1/tools/calculator/usage", **_some(used, "runs", "failures", "denied", "errors", "latency"))
    tour.proof.add(f"GET /v1/tools/{server}.weekday/usage", **_some(foreign, "runs", "failures", "latency"))
    tour.proof.check(f"{server}.weekday" in listed, "the MCP server's tool is not listed")
    tour.delete(f"/v1/mcp-servers/{server}")
    tour.delete("/v1/tool-grants/calculator")


def retrieval(tour: Tourist) -> None:
    """Retrieval and embeddings"""
    text = f"The ledger of {tour.name} is audited every Friday. A settlement posts what spans should have said."
    document = tour.post("/v1/documents", {"text": text, "name": "handbook.md", "content_type": "text/markdown"})
    again = tour.post("/v1/documents", {"text": text, "name": "handbook.md", "content_type": "text/markdown"})
    hits = tour.post("/v1/retrieval/search", {"query": f"when is the ledger of {tour.name} audited?", "top_k": 1})
    answer = tour.say("When is the ledger audited?", workflow="rag")
    tour.settle()
    usage = tour.get("/v1/retrieval/usage")
    tour.proof.add("POST /v1/documents", document_id=document["document_id"], again_new=again["new"])
    tour.proof.add("POST /v1/retrieval/search", best=hits["items"][0])
    tour.proof.add(
        "POST …/messages (workflow rag)", calls=answer["usage"]["llm_calls"], cost=answer["usage"]["cost_usd"]
    )
    tour.proof.add("GET /v1/retrieval/usage", **usage)
    tour.proof.check(hits["items"][0]["document_id"] == document["document_id"], "the search found another document")
    tour.proof.check(not again["new"], "the same document was taken twice")


def memory_and_cache(tour: Tourist) -> None:
    """Memory and response cache"""
    profile = f"thrifty-{tour.name}"
    tour.put(f"/v1/profiles/{profile}", {"memory": {"kind": "window", "exchanges": 1}})
    seen = [tour.say(f"Tell me more, part {n}", profile=profile)["usage"]["input_tokens"] for n in range(5)]
    first = tour.say("The same question", conversation=f"{tour.name}-cache-1", cache=True)
    second = tour.say("The same question", conversation=f"{tour.name}-cache-2", cache=True)
    tour.settle()
    tour.proof.add("POST …/messages (window of one exchange)", input_tokens=seen)
    tour.proof.add("POST …/messages (cache), twice", cost=[first["usage"]["cost_usd"], second["usage"]["cost_usd"]])
    tour.proof.add("GET /v1/cache", **tour.get("/v1/cache"))
    tour.proof.check(max(seen[2:]) < 2 * seen[1], f"the window did not hold the prompt down: {seen}")
    tour.proof.check(second["usage"]["llm_calls"] == 0, "the second answer did not come from the cache")


def _some(facts: dict[str, object], *names: str) -> dict[str, object]:
    """Those that there are."""
    return {name: facts[name] for name in names if name in facts}
