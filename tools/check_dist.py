"""Checks an installed package from outside of the repository: `PYTHON check_dist.py`, by the Python it is installed in.

Prints what it saw; exits with 1 and the reason when something is missing.
"""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

PAGES = ("/", "/docs", "/docs/swagger-ui-bundle.js", "/static/console.css", "/openapi.json", "/messages", "/healthz")


def main() -> int:
    command = Path(sys.executable).with_name("spanledger")
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run([command, "--version"], capture_output=True, text=True, cwd=folder, check=True)
        print(told.stdout.strip())
        ports = [f"--{name}={free_port()}" for name in ("port", "otlp-http-port", "otlp-grpc-port")]
        url = f"http://127.0.0.1:{ports[0].split('=')[1]}"
        up = subprocess.Popen([command, "up", f"--data-dir={folder}/data", *ports], cwd=folder, stdout=subprocess.PIPE)
        try:
            assert up.stdout is not None
            for line in up.stdout:
                if line.startswith(b"ready"):
                    print(line.decode().strip())
                    return check(url)
            print("up ended before it was ready")
            return 1
        finally:
            up.send_signal(signal.SIGTERM)
            up.communicate(timeout=60)


def check(url: str) -> int:
    """Whether pages, the reference and a message are answered."""
    for page in PAGES:
        with urllib.request.urlopen(url + page, timeout=60) as answer:
            print(page, answer.status, len(answer.read()), "bytes")
    body = json.dumps({"content": "hello"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/conversations/first/messages", body, headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        tokens = json.load(answer)["usage"]["total_tokens"]
    print("a message of", tokens, "tokens")
    return 0 if tokens else 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
