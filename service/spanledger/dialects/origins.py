"""Which attribute gave which fact: the interpreter's own reading of a span, with a note of every value that it used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spanledger.dialects.facts import Reading
from spanledger.dialects.interpreter import Interpreter, SpanFacts, interpreter
from spanledger.dialects.lexicon import Lexicon, Shape

MAX_VALUE = 500  # characters of a value that are passed on


@dataclass(frozen=True)
class Origin:
    """`field`: the fact, in the words of clickhouse/dialects; `key`: the attribute that gave it (`resource:` before a
    resource's, `event:` before an event's); `rule`: why this key and no other."""

    field: str
    key: str
    value: str
    dialect: str
    rule: str


def origins(span: SpanFacts, by: Interpreter | None = None) -> tuple[list[Origin], dict[str, Any]]:
    """Every value that the interpreter used of a span, in the order of fields, and the canonical columns it made."""
    reader = by or interpreter()
    read = _Noting(reader.by, reader.by.shape(span.keys), span)
    columns = reader.through(read, span)
    found = sorted({(field, *note) for field, note in read.used.items()})
    return [Origin(field, key, value[:MAX_VALUE], read.dialect, rule) for field, key, value, rule in found], columns


class _Used(dict[str, str]):
    """A mapping that notes which of its values were looked up."""

    def __init__(self, values: dict[str, str], note: Any) -> None:
        super().__init__(values)
        self._note = note

    def get(self, field: str, default: Any = None) -> Any:
        value = super().get(field, default)
        if value and field in self:
            self._note(field, value)
        return value


class _Noting(Reading):
    """`used`: field → key, value and rule of what was read."""

    def __init__(self, by: Lexicon, shape: Shape, span: SpanFacts) -> None:
        self.used: dict[str, tuple[str, str, str]] = {}
        self._keys: Sequence[str] = span.keys
        self._position = dict((*shape.constant_positions, *shape.per_span_positions, *shape.texts))
        if len(shape.conversations) > 1:
            self._position["conversation_id"] = shape.conversation_at(span.values)
        super().__init__(by, shape, span.scope, span.span_name, span.values)
        self.raw = _Used(self.raw, self._note_field)
        self.events = _Used(self.events, self._note_event)
        if self.is_genai:  # once more, now that what decides the role is noted
            self._kind()

    def own_or_nested(self, field: str) -> str:
        if value := self.raw.get(field, ""):
            return str(value)
        value = super().own_or_nested(field)
        if value:
            places = [
                (rank, name, fact)
                for name in self.present
                for fact in self._facts_of(name)
                for filled, rank in self.by.fields_of.get((name, fact), ())
                if filled == field
            ]
            _, name, fact = min(places)
            self._note_inside(field, name, fact, value)
        return value

    def fact(self, name: str, fact: str) -> str:
        value = super().fact(name, fact)
        if value:
            self._note_inside(f"{name}.{fact}", name, fact, value)
        return value

    def _note_field(self, field: str, value: str) -> None:
        if field not in self._position:
            self.used[field] = ("", value, "found by its shape")
            return
        key = self._keys[self._position[field]]
        plain = key.removeprefix("resource:")
        place = self.by.tables.place(plain)
        rank = place[1] + 1 if place else 0
        where = "of the resource" if plain != key else "of the span"
        keys = len(self.by.tables.fields.get(field, {}).get("keys", ()))
        rule = f"the best key present {where} (rank {rank}{f' of {keys}' if rank <= keys else ''})"
        self.used["operation" if field.startswith("kind_") else field] = (key, value, rule)

    def _note_event(self, key: str, value: str) -> None:
        self.used[key] = (key, value, "of an event of the span")

    def _note_inside(self, field: str, name: str, fact: str, value: str) -> None:
        text = self.by.objects[name]
        key = self._keys[self._position[text]] if text in self._position else text
        self.used[field] = (key, value, f"inside the value: {name}.{fact}")
