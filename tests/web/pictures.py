"""Draws docs/console: `python pictures.py FOLDER` takes a picture of every page, light, dark and narrow.

It starts a system with a week of a small company's traffic and the demo.
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "dashboards")]

from spanledger.workflows import demo  # noqa: E402
from system import System  # noqa: E402

_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 400, "height": 800}, "color_scheme": "light"},
}
_TALLEST = 1400
_FILL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import demo_data
from spanledger.store import migrate
from spanledger.store.client import open_embedded
store = open_embedded(Path(sys.argv[1]))
migrate.migrate(store, lambda text: None)
demo_data.load(store, Path(sys.argv[1]), traces=800, days=8, ended_at=datetime.fromisoformat(sys.argv[2]))
store.close()
"""


def main(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        data_dir.mkdir()
        fill = [sys.executable, "-c", _FILL, str(data_dir), datetime.now(UTC).isoformat()]
        subprocess.run(fill, cwd=TESTS / "dashboards", check=True, stdout=subprocess.DEVNULL)
        system = System(data_dir, capture_content=True)
        system.flags = [flag.removesuffix("=True") for flag in system.flags]
        system.start_s = system.timeout_s = 600.0
        system.start()
        try:
            asyncio.run(demo.run(f"http://127.0.0.1:{system.port}"))
            system.flush()
            _draw(system, target)
        finally:
            system.stop()


def pages(system: System) -> dict[str, str]:
    last = system.get("conversations", "demo-fallback", "messages")["items"][0]
    rows = system.get("traces", last["trace_id"], "rows")["rows"]
    call = next(row for row in rows if row["counted"] == "call")
    report = system.get("conversations", "demo-report", "messages")["items"][0]
    query = "SELECT toStartOfHour(started_at) AS hour, sum(cost_usd) AS usd FROM ledger GROUP BY hour ORDER BY hour"
    return {
        "home": "/?range=7d",
        "messages": "/messages",
        "trace": f"/traces/{last['trace_id']}?span={call['span_id']}",
        "conversation": "/conversations/demo-trip",
        "explain": f"/explain?message={report['message_id']}",
        "users": "/users?range=7d",
        "user": "/users/grace",
        "costs": "/costs?by=model&and=workflow",
        "live": "/live?window=3600",
        "books": "/books",
        "budgets": "/budgets",
        "catalogue": "/catalogue",
        "sql": f"/sql?query={query.replace(' ', '+')}",
        "settings": "/settings",
        "agent": "/catalogue/agents/assistant",
        "erasures": "/erasures?user=grace",
        "start": "/start",
    }


def _draw(system: System, target: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        for look, options in _LOOKS.items():
            page = browser.new_context(**options).new_page()
            page.set_default_timeout(120_000)
            for name, path in pages(system).items():
                page.goto(f"http://127.0.0.1:{system.port}{path}")
                page.wait_for_selector(".later", state="detached")  # parts that come after the page
                height = min(page.evaluate("document.documentElement.scrollHeight"), _TALLEST)
                size = {"x": 0, "y": 0, "width": options["viewport"]["width"], "height": height}
                page.screenshot(path=target / f"{name}-{look}.png", full_page=True, clip=size)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
