"""The facts within values that hold more than one: JSON objects of objects.yaml, compiled to be found in one walk."""

from collections.abc import Mapping
from typing import Any

from spanledger.dialects.tables import Tables
from spanledger.dialects.values import scalar

Facts = dict[str, str]  # fact → its text, those that are there
_Hit = tuple[int, str]  # rank (0 = best) and fact
_FIRST = "[]"  # the step to the first element of a list
_EMBEDDED = 1_000  # ranks of one place where an object may stand within another


class _Node:
    """What is known under one member of an object."""

    __slots__ = ("hits", "members")

    def __init__(self) -> None:
        self.hits: list[_Hit] = []
        self.members: dict[str, _Node] = {}


_NOTHING = _Node()


class ObjectFacts:
    """One object of objects.yaml: every fact that a value of it may hold, `inner.fact` for those of objects within."""

    def __init__(self, known: Tables, name: str) -> None:
        self._members: dict[str, _Node] = {}
        spec = known.objects[name]
        for fact, paths in spec["facts"].items():
            for rank, path in enumerate(paths):
                self._add(path, rank, fact)
        for inner, roots in spec.get("embed", {}).items():
            for number, root in enumerate(roots):
                for fact, paths in known.objects[inner]["facts"].items():
                    for rank, path in enumerate(paths):
                        self._add(f"{root}.{path}", number * _EMBEDDED + rank, f"{inner}.{fact}")

    def _add(self, path: str, rank: int, fact: str) -> None:
        members, node = self._members, _Node()
        for step in path.replace("[]", "." + _FIRST).split("."):
            node = members.setdefault(step, _Node())
            members = node.members
        node.hits.append((rank, fact))

    def read(self, value: Mapping[str, Any]) -> Facts:
        """The best member for each fact, in which anything stands."""
        found: dict[str, _Hit] = {}
        _walk(self._members, value, found)
        return {fact: text for fact, (_, text) in found.items()}


def _walk(known: dict[str, _Node], value: Mapping[str, Any], found: dict[str, _Hit]) -> None:
    for key, inner in value.items():
        node = known.get(key)
        if node is None:
            continue
        if isinstance(inner, list) and inner and isinstance(inner[0], dict) and "modality" in inner[0]:
            inner = _by_modality(inner)
        while isinstance(inner, list):
            node = node.members.get(_FIRST, _NOTHING)
            inner = inner[0] if inner and node is not _NOTHING else None
        if isinstance(inner, dict):
            _walk(node.members, inner, found)
        elif node.hits and (text := scalar(inner)):
            for rank, fact in node.hits:
                _keep(found, fact, rank, text)


def _by_modality(counts: list[Any]) -> dict[str, Any]:
    """Google's counts by kind of content: [{modality: IMAGE, tokenCount: 1290}] → {image: 1290}."""
    return {
        str(one.get("modality")).rsplit(".", 1)[-1].lower(): one.get("tokenCount", one.get("token_count"))
        for one in counts
        if isinstance(one, dict)
    }


def _keep(found: dict[str, _Hit], fact: str, rank: int, text: str) -> None:
    best = found.get(fact)
    if best is None or rank < best[0]:
        found[fact] = (rank, text)
