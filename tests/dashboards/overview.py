"""Draws each dashboard from the answers to its queries: `python overview.py results.json FOLDER` writes one SVG each.

Not Grafana's picture, but the same panels in the same places with the same figures, units and columns.
"""

import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from runs import dashboards, time_span

CELL_W, CELL_H, GAP = 50, 30, 6
COLORS = ("#5794f2", "#73bf69", "#ff9830", "#f2495c", "#b877d9", "#fade2a", "#37872d", "#8ab8ff")
THRESHOLD = {"green": "#56a64b", "yellow": "#e0b400", "red": "#e02f44"}
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

Panel = dict[str, Any]
Answer = dict[str, Any]


def value(number: float, unit: str, decimals: int | None = None) -> str:
    """A number as Grafana would write it."""
    if unit == "currencyUSD":
        return f"${number:,.{2 if decimals is None and abs(number) >= 1 else decimals or 4}f}"
    if unit == "percentunit":
        return f"{number * 100:.{decimals if decimals is not None else 1}f}%"
    if unit == "s":
        return (
            f"{number * 1000:.3g} ms"
            if abs(number) < 1
            else f"{number:.3g} s"
            if abs(number) < 120
            else f"{number / 60:.3g} min"
        )
    tail = {"cps": " c/s", "bytes": "B"}.get(unit, "")
    for scale, letter in _SCALES:
        if abs(number) >= scale:
            return f"{number / scale:.3g} {letter}{tail}"
    return f"{number:.4g}{tail}"


def _text(x: float, y: float, content: str, size: int = 11, color: str = "#343741", weight: str = "") -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{color}"{bold}>{escape(content)}</text>'


def _cut(content: str, width: float, size: int = 10) -> str:
    fits = max(int(width / (size * 0.58)), 2)
    return content if len(content) <= fits else content[: fits - 1] + "…"


def _float(cell: Any) -> float:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return math.nan
    return number


def _looks(panel: Panel) -> dict[str, dict[str, Any]]:
    """Column name → what the panel says about it."""
    overrides = panel["fieldConfig"]["overrides"]
    return {o["matcher"]["options"]: {p["id"]: p["value"] for p in o["properties"]} for o in overrides}


def stat(panel: Panel, answer: Answer, w: int, h: int) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    number = _float(answer["rows"][0][0])
    color = "#343741"
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or number >= step["value"]:
            color = THRESHOLD.get(step["color"], color)
    words = {k: v["text"] for m in defaults.get("mappings", []) for k, v in m["options"].items()}
    shown = words.get(f"{number:g}") or (
        "no data" if math.isnan(number) else value(number, defaults["unit"], defaults.get("decimals"))
    )
    yield (
        f'<text x="{w / 2:.0f}" y="{h / 2 + 18:.0f}" font-size="24" font-weight="bold" text-anchor="middle" '
        f'fill="{color}">{escape(shown)}</text>'
    )


def _lines(answer: Answer, panel: Panel) -> dict[str, list[tuple[float, float]]]:
    """Series name → (seconds, value)."""
    titles = {
        o["matcher"]["options"]: p["value"]
        for o in panel["fieldConfig"]["overrides"]
        for p in o["properties"]
        if p["id"] == "displayName"
    }
    names, found = answer["names"], {}
    for row in answer["rows"]:
        at = datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp()
        if names[1] == "series":
            found.setdefault(row[1], []).append((at, _float(row[2])))
            continue
        for name, cell in zip(names[1:], row[1:], strict=True):
            found.setdefault(titles.get(name, name), []).append((at, _float(cell)))
    return {name: [p for p in points if not math.isnan(p[1])] for name, points in found.items()}


def timeseries(panel: Panel, answer: Answer, w: int, h: int) -> Iterator[str]:
    lines = {name: points for name, points in sorted(_lines(answer, panel).items()) if points}
    custom, unit = panel["fieldConfig"]["defaults"]["custom"], panel["fieldConfig"]["defaults"]["unit"]
    if not lines:
        yield _text(w / 2 - 25, h / 2, "no data", 12, "#8e8e8e")
        return
    first, last = answer["window"]
    stacked = custom["stacking"]["mode"] == "normal"
    totals: dict[float, float] = {}
    for points in lines.values():
        for t, v in points:
            totals[t] = totals.get(t, 0) + v if stacked else max(totals.get(t, 0), v)
    top = max(max(totals.values()), 1e-12)
    left, right, bottom, head = 58, w - 12, h - 40, 30

    def x(t: float) -> float:
        return left + (t - first) / (last - first) * (right - left)

    def y(v: float) -> float:
        return bottom - max(v, 0) / top * (bottom - head)

    for share in (0, 0.5, 1):
        yield f'<line x1="{left}" x2="{right}" y1="{y(top * share):.0f}" y2="{y(top * share):.0f}" stroke="#e4e7eb"/>'
        yield _text(4, y(top * share) + 4, value(top * share, unit), 9, "#6b7280")
    for at in (first, last):
        yield _text(min(x(at), right - 62), bottom + 13, f"{datetime.fromtimestamp(at, UTC):%m-%d %H:%M}", 9, "#6b7280")
    below: dict[float, float] = {}
    steps = sorted(totals)
    step = min((b - a for a, b in itertools.pairwise(steps)), default=(last - first) / 60)
    width = max(step / (last - first) * (right - left) - 0.5, 1)
    for number, points in enumerate(lines.values()):
        color = COLORS[number % len(COLORS)]
        if custom["drawStyle"] == "bars":
            bars = []
            for t, v in points:
                base = below.get(t, 0) if stacked else 0
                bars.append(f"M{max(x(t), left + width / 2):.1f} {y(base):.1f}v{y(base + v) - y(base):.1f}")
                below[t] = base + v
            yield f'<path d="{"".join(bars)}" stroke="{color}" stroke-width="{width:.1f}"/>'
            continue
        moved = []
        for t, v in points:
            base = below.get(t, 0) if stacked else 0
            moved.append((t, base + v))
            below[t] = base + v
        path = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in moved)
        yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.4"/>'
    at = left
    for number, name in enumerate(lines):
        label = _cut(name, 130)
        if at + 12 + len(label) * 6 > right:
            break
        yield f'<rect x="{at}" y="{h - 17}" width="8" height="8" fill="{COLORS[number % len(COLORS)]}"/>'
        yield _text(at + 11, h - 9, label, 10)
        at += 22 + len(label) * 6


def table(panel: Panel, answer: Answer, w: int, h: int) -> Iterator[str]:
    looks = {
        o["matcher"]["options"]: {p["id"]: p["value"] for p in o["properties"]}
        for o in panel["fieldConfig"]["overrides"]
    }
    shown = [n for n in answer["names"] if not looks.get(n, {}).get("custom.hidden")]
    if not answer["rows"]:
        yield _text(w / 2 - 25, h / 2, "no data", 12, "#8e8e8e")
        return
    cells = {
        n: [_cell(row[place], answer["types"][place], looks.get(n, {})) for row in answer["rows"][: (h - 58) // 18]]
        for place, n in enumerate(answer["names"])
        if n in shown
    }
    heads = {n: looks.get(n, {}).get("displayName", n) for n in shown}
    longest = {n: min(max(len(c) for c in (heads[n], *cells[n])), 26) + 2 for n in shown}
    at = 8.0
    for name in shown:
        width = longest[name] / sum(longest.values()) * (w - 16)
        color = "#1f60c4" if "links" in looks.get(name, {}) else "#343741"
        yield _text(at, 40, _cut(heads[name], width), 10, "#6b7280", "bold")
        for number, cell in enumerate(cells[name]):
            yield _text(at, 58 + number * 18, _cut(cell, width), 10, color)
        at += width


def _cell(cell: Any, kind: str, look: dict[str, Any]) -> str:
    if cell is None:
        return "–"
    if "String" in kind:
        return str(cell)
    if kind.startswith("DateTime"):
        return str(cell)[:19]
    return value(_float(cell), look.get("unit", "short"), look.get("decimals"))


def traces(panel: Panel, answer: Answer, w: int, h: int) -> Iterator[str]:
    spans = [dict(zip(answer["names"], row, strict=True)) for row in answer["rows"]]
    first = min(s["startTime"] for s in spans)
    whole = max(s["startTime"] + s["duration"] for s in spans) - first
    parents = {s["spanID"]: s["parentSpanID"] for s in spans}
    for number, span in enumerate(spans[: (h - 40) // 24 + 1]):
        depth, up = 0, span["parentSpanID"]
        while up in parents and depth < 20:
            depth, up = depth + 1, parents[up]
        y = 36 + number * 24
        yield _text(10 + depth * 14, y + 12, _cut(f"{span['serviceName']}  {span['operationName']}", 330), 11)
        x = 380 + (span["startTime"] - first) / whole * (w - 480)
        color = "#e02f44" if span["statusCode"] == 2 else "#5794f2"
        long = max(span["duration"] / whole * (w - 480), 2)
        yield f'<rect x="{x:.0f}" y="{y + 2}" width="{long:.0f}" height="12" fill="{color}"/>'
        yield _text(x + long + 5, y + 12, f"{span['duration']:.0f} ms", 10, "#6b7280")


def logs(panel: Panel, answer: Answer, w: int, h: int) -> Iterator[str]:
    for number, row in enumerate(answer["rows"][: (h - 40) // 18 + 1]):
        line = dict(zip(answer["names"], row, strict=True))
        color = "#e02f44" if line["level"] == "error" else "#343741"
        yield _text(
            10,
            42 + number * 18,
            f"{line['timestamp'][:23]}  {line['level']:5}  {line['service']}  {line['body']}",
            11,
            color,
        )


_DRAW: dict[str, Callable[[Panel, Answer, int, int], Iterator[str]]] = {
    "stat": stat,
    "gauge": stat,
    "timeseries": timeseries,
    "table": table,
    "traces": traces,
    "logs": logs,
}


def draw(page: dict[str, Any], answers: dict[str, Answer]) -> str:
    """One dashboard. `answers`: place → result."""
    width = 24 * CELL_W
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in page["panels"]) * CELL_H + 44
    box = f'viewBox="0 0 {width} {height}" font-family="DejaVu Sans, sans-serif"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{width}" height="{height}" fill="#f4f5f5"/>',
        _text(10, 28, f"Spanledger · {page['title']}", 18, "#1f2937", "bold"),
    ]
    for panel in page["panels"]:
        grid = panel["gridPos"]
        w, h = grid["w"] * CELL_W - GAP, grid["h"] * CELL_H - GAP
        parts.append(f'<g transform="translate({grid["x"] * CELL_W + GAP // 2},{grid["y"] * CELL_H + 42})">')
        parts.append(f'<rect width="{w}" height="{h}" fill="#fff" stroke="#dcdfe4" rx="2"/>')
        parts.append(_text(8, 18, _cut(panel["title"], w - 10, 12), 12, "#1f2937", "bold"))
        parts += _DRAW[panel["type"]](panel, answers[f"{page['uid']}/{panel['id']}"], w, h)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    results, folder = Path(sys.argv[1]), Path(sys.argv[2])
    content = json.loads(results.read_text())
    answers = {answer["query"]["place"]: answer for answer in content["all"]}
    end = datetime.fromisoformat(content["end"]).replace(tzinfo=UTC).timestamp()
    folder.mkdir(parents=True, exist_ok=True)
    for uid, page in dashboards().items():
        first = end - time_span(page["time"]["from"]).total_seconds()
        for panel in page["panels"]:
            answers[f"{uid}/{panel['id']}"]["window"] = (first, end)
        (folder / f"{uid.removeprefix('spanledger-')}.svg").write_text(draw(page, answers))


if __name__ == "__main__":
    main()
