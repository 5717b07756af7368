"""Whom or what an erasure is about, and the pseudonyms that take the place of ids."""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from spanledger.errors import SettingsError
from spanledger.private import kept_secret

Kind = Literal["user", "conversation", "trace"]
Extent = Literal["content", "identity", "everything"]
COLUMNS: Final[dict[Kind, str]] = {"user": "user_id", "conversation": "conversation_id", "trace": "trace_id"}
KEY_FILE = "erasure.key"
_PREFIX = "erased-"
_SHORTEST = 5  # characters of an id that is looked for inside of texts
_WORD = re.compile(r"[^\W\d_]*")


@dataclass(frozen=True)
class Subject:
    """One user, conversation or trace of one tenant."""

    tenant: str
    kind: Kind
    value: str

    @property
    def column(self) -> str:
        return COLUMNS[self.kind]


@dataclass(frozen=True)
class Replacement:
    """An id and what takes its place, in a column and its attributes. `within`: only in the traces of the erasure."""

    column: str
    value: str
    pseudonym: str
    within: bool

    @property
    def pattern(self) -> str:
        """A regular expression (RE2) that finds the id inside of texts; empty when it could be a word of any text."""
        return pattern_of(self.value)


def pattern_of(value: str) -> str:
    """Empty for what is short or made of letters alone: it could be a word."""
    if len(value) < _SHORTEST or _WORD.fullmatch(value) or (value.isdigit() and len(value) < 2 * _SHORTEST):
        return ""
    return "|".join(map(_pattern, forms_of(value)))


def _pattern(text: str) -> str:
    before = r"\b" if re.match(r"[A-Za-z0-9_]", text) else ""
    after = r"\b" if re.search(r"[A-Za-z0-9_]\Z", text) else ""
    return before + re.sub(r"([^A-Za-z0-9_\u0080-\U0010ffff])", r"\\\1", text) + after


def forms_of(value: str) -> list[str]:
    """The id as it stands in texts: itself, and as JSON writes it inside of its quotes, with and without other letters
    than ASCII's."""
    forms = {value, *(json.dumps(value, ensure_ascii=is_ascii)[1:-1] for is_ascii in (False, True))}
    return sorted(forms, key=lambda form: (-len(form), form))


class Pseudonyms:
    """A keyed hash: ids cannot be guessed from a pseudonym without the key. The key is made at the first use."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / KEY_FILE
        self._known: bytes = b""

    def of(self, tenant: str, kind: str, value: str) -> str:
        """The same for the same id, always. Raises SettingsError where the key cannot be read."""
        if is_pseudonym(value):
            return value
        text = "\x1f".join((tenant, kind, value)).encode("utf-8", "surrogatepass")
        return _PREFIX + hmac.new(self._key(), text, hashlib.sha256).hexdigest()[:24]

    def _key(self) -> bytes:
        if not self._known:
            try:
                self._known = kept_secret(self._path)
            except OSError as exc:
                raise SettingsError(f"the key of pseudonyms {self._path} cannot be used: {exc.strerror}") from exc
        return self._known


def is_pseudonym(value: str) -> bool:
    return re.fullmatch(_PREFIX + "[0-9a-f]{24}", value) is not None
