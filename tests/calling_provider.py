"""A model provider over real HTTP that does what the question says: for tests of what models make of tools.

A question that is a JSON object {"tool": …, "arguments": …} (or a list of such) is answered by these calls, arguments
as they stand; after their results the answer is those, one a line. Anything else is repeated. The model
`quoting-<status>` fails with that status and repeats the question in its error, `misshapen` where no text belongs.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class CallingProvider:
    """Use it as a context manager; its models are `openai/…` once `environ` is in the service's environment."""

    def __enter__(self) -> Self:
        self.prompts: list[dict[str, Any]] = []
        provider = self

        class Handler(_Handler):
            owner = provider

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def environ(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        return {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-test"}


class _Handler(BaseHTTPRequestHandler):
    owner: CallingProvider
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.owner.prompts.append(asked)
        kind, _, number = asked["model"].partition("-")
        if kind == "quoting":
            said = json.dumps(asked.get("messages") or asked["input"])
            self._send(int(number), {"error": {"message": f"{said} is refused", "type": "invalid", "param": said}})
            return
        message, reason = _answer(asked["messages"])
        choices: Any = [{"index": 0, "message": message, "finish_reason": reason}]
        answer = {
            "id": f"chatcmpl-{len(self.owner.prompts)}",
            "object": "chat.completion",
            "created": 1_767_225_600,
            "model": asked["model"],
            "choices": message["content"] if kind == "misshapen" else choices,
            "usage": USAGE,
        }
        self._send(200, answer)

    def _send(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _answer(messages: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    results = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        results.insert(0, message["content"])
    if results:
        return {"role": "assistant", "content": "\n".join(results)}, "stop"
    question = messages[-1]["content"]
    try:
        wanted = json.loads(question)
    except ValueError:
        return {"role": "assistant", "content": question}, "stop"
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": one["tool"], "arguments": one["arguments"]}}
        for n, one in enumerate(wanted if isinstance(wanted, list) else [wanted])
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
