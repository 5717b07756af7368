"""Rooms of the program (the folders of `spanledger`) and the arrows between them, counted from the imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import spanledger

ROOT = Path(spanledger.__file__).parent
MAX_LINES = 400
# From the bottom up: a room may import rooms of the lines above its own, never of its own line or below.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"spanledger", "errors", "resources", "principal", "open_files", "private", "foreign"}),
    frozenset({"settings", "pricing", "dialects"}),
    frozenset({"books", "lanes"}),
    frozenset({"store", "telemetry", "reconcile"}),
    frozenset({"ledger"}),
    frozenset({"stats", "workflows"}),
    frozenset({"access", "configuration", "retrieval", "live", "imports"}),
    frozenset({"ingest", "jobs", "evaluations", "analysis", "client"}),
    frozenset({"erasure"}),
    frozenset({"runtime", "tour"}),
    frozenset({"api"}),
    frozenset({"web"}),
    frozenset({"bench"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
HEIGHTS = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
SDK = "opentelemetry.sdk"


def modules() -> dict[str, Path]:
    """All modules by their dotted names."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every dotted name that a file imports, wherever it does, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def room_of(module: str) -> str:
    """`spanledger.api.app` is in `api`; names of the package itself are in `spanledger`."""
    name = module.split(".")[1] if "." in module else ""
    is_module = bool(name) and ((ROOT / name).is_dir() or (ROOT / f"{name}.py").exists())
    return name if is_module else "spanledger"


def arrows() -> Iterator[tuple[str, str, str]]:
    """From room, to room, where it is written."""
    for module, path in modules().items():
        for name, line in imported(path):
            if name.split(".")[0] == "spanledger" and room_of(name) != room_of(module):
                yield room_of(module), room_of(name), f"{path.relative_to(ROOT)}:{line} imports {name}"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The sets of nodes that can all reach each other, more than one in each."""

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = graph.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        return seen

    reached = {node: reachable(node) for node in graph}
    found = {frozenset(other for other in reached[node] if node in reached.get(other, ())) for node in graph}
    return sorted(sorted(circle) for circle in found if len(circle) > 1)


def test_every_room_has_its_layer() -> None:
    assert {room_of(module) for module in modules()} <= HEIGHTS.keys()


def test_arrows_between_rooms_point_to_lower_layers() -> None:
    assert [where for source, target, where in arrows() if HEIGHTS[target] >= HEIGHTS[source]] == []


def test_rooms_form_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for source, target, _ in arrows():
        graph.setdefault(source, set()).add(target)
    assert circles(graph) == []


def test_modules_form_no_circle() -> None:
    known = modules()
    graph = {}
    for module, path in known.items():
        names = {name if name in known else name.rpartition(".")[0] for name, _ in imported(path)}
        graph[module] = {name for name in names if name in known and name != module}
    assert circles(graph) == []


def test_only_telemetry_imports_the_sdk() -> None:
    found = {
        path.relative_to(ROOT) for path in ROOT.rglob("*.py") for name, _ in imported(path) if name.startswith(SDK)
    }
    assert {path.parts[0] for path in found} == {"telemetry"}


def test_no_file_is_long() -> None:
    long = {
        path.name: lines for path in ROOT.rglob("*.py") if (lines := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert long == {}


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]
