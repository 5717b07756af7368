"""Masks sensitive texts in OTLP bodies before they are written to the spool.

Rules look at texts: attribute values, bodies of log records, messages of statuses. A match is hashed (keyed, equal
texts have equal hashes) or dropped. Our own API keys and the secrets of this process' environment are always dropped.

A body is parsed only when a cheap test of its bytes shows that a rule could match.
"""

import hashlib
import hmac
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import regex
import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from spanledger import private
from spanledger.errors import SettingsError
from spanledger.foreign import checks
from spanledger.ingest.signals import Signal

Action = Literal["off", "hash", "drop"]
KEY_FILE = "masking.key"
ACTIONS: tuple[Action, ...] = ("off", "hash", "drop")
PATTERN_S = 0.05  # of one own pattern on one text; what takes longer is dropped as a whole
_ALWAYS = "known_keys"
_OWN_KEY = re.compile(r"sl_[a-z2-7]{12}_[A-Za-z0-9_-]{20,}")
_ANY_VALUE, _KEY_VALUE = "opentelemetry.proto.common.v1.AnyValue", "opentelemetry.proto.common.v1.KeyValue"
_MESSAGE_OF_STATUS = "opentelemetry.proto.trace.v1.Status"


class Rule:
    """`pattern` matches only in texts that hold one of `words` or, without words, fit `shape`: a cheap look, at the
    bytes of a body and at each text. `is_one` decides about a match."""

    def __init__(
        self,
        name: str,
        pattern: str,
        words: tuple[str, ...] = (),
        shape: str = "",
        is_one: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.name, self.pattern, self.is_one = name, re.compile(pattern), is_one
        self._words, self._bytes = words, tuple(word.encode() for word in words)
        self._shape, self._shape_of_bytes = re.compile(shape), re.compile(shape.encode(), re.ASCII)

    def may_match(self, text: str) -> bool:
        if self._words:
            return any(word in text for word in self._words)
        return self._shape.search(text) is not None

    def may_match_in(self, body: bytes) -> bool:
        if self._bytes:
            return any(word in body for word in self._bytes)
        return self._shape_of_bytes.search(body) is not None


@dataclass(frozen=True)
class OwnRule:
    name: str
    pattern: Any  # of `regex`, which takes a time limit
    action: Action


def _is_card(text: str) -> bool:
    """Luhn's checksum."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [d if place % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for place, d in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and sum(doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    """Checksum of ISO 7064."""
    plain = re.sub(r"\s", "", text)
    moved = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_SECRET_WORDS = (
    *("sk-", "k_live_", "k_test_", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
    *("xox", "AIza", "hf_", "npm_", "SG.", "eyJ", "Bearer ", "Basic ", "PRIVATE KEY"),
)
_RULES = (
    Rule(
        "secrets",
        r"\bsk-[A-Za-z0-9_-]{16,}|\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|\bA(?:KIA|SIA)[A-Z0-9]{16}\b"
        r"|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_\w{22,}|\bglpat-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}"
        r"|\bAIza[\w-]{35}|\bhf_[A-Za-z0-9]{30,}|\bnpm_[A-Za-z0-9]{36}|\bSG\.[\w-]{16,}\.[\w-]{16,}"
        r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}|\b(?:Bearer|Basic) [A-Za-z0-9+/_=.-]{12,}"
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        words=_SECRET_WORDS,
    ),
    Rule(
        "email",
        r"(?<![\w.+-])[A-Za-z0-9_][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
        words=("@",),
    ),
    Rule(
        "phone",
        r"(?<![\w.+-])(?:\+\d{1,3}[ ./-]?(?:\(\d{1,4}\)[ ./-]?)?\d(?:[ ./-]?\d){5,12}"
        r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4})(?!\w)",
        shape=r"\+\d|\d{3}\) ?\d{3}|\d{3}[.-]\d{3}[.-]\d{4}",
    ),
    Rule(
        "card",
        r"(?<![\w.-])(?:[3-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\w-])|3\d{3}[ -]?\d{6}[ -]?\d{5}(?!\w))",
        shape=r"[3-6]\d{3}[ -]?\d{4}",
        is_one=_is_card,
    ),
    Rule(
        "iban",
        r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)",
        shape=r"[A-Z]{2}\d{2} ?[A-Z0-9]{4}",
        is_one=_is_iban,
    ),
    Rule(
        "ip",
        r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})(?![\w:]|\.\d)",
        shape=r"\d\.\d{1,3}\.\d{1,3}\.\d|:[0-9A-Fa-f]{0,4}:",
        is_one=_is_address,
    ),
)
BUILT_IN = {rule.name: rule for rule in _RULES}


@dataclass(frozen=True)
class Rules:
    """What is masked and how. `keys`: attribute keys, `*` at the end stands for any rest."""

    built_in: Mapping[str, Action]
    keys: Mapping[str, Action]
    own: tuple[OwnRule, ...]


def rules_of(built_in: Mapping[str, str], file: str) -> Rules:
    """Raises SettingsError for an action, a file or a pattern that cannot be used."""
    for name, action in built_in.items():
        _check_action(f"mask_{name}", action)
    keys: dict[str, Action] = {}
    own: list[OwnRule] = []
    if file:
        try:
            document = yaml.safe_load(Path(file).read_text()) or {}
            for key, action in (document.get("keys") or {}).items():
                keys[str(key)] = _check_action(f"key {key}", action)
            for rule in document.get("patterns") or ():
                action = _check_action(f"pattern {rule['name']}", rule.get("action", "drop"))
                own.append(OwnRule(str(rule["name"]), checks.compiled(str(rule["pattern"])), action))
        except (OSError, yaml.YAMLError, AttributeError, TypeError, KeyError, regex.error) as exc:
            raise SettingsError(f"mask_rules: {file} cannot be used: {exc}") from exc
    chosen: dict[str, Any] = {name: action for name, action in built_in.items() if action != "off"}
    return Rules(chosen, keys, tuple(rule for rule in own if rule.action != "off"))


def _check_action(name: str, action: object) -> Action:
    for known in ACTIONS:
        if action == known:
            return known
    raise SettingsError(f"{name} must be one of {', '.join(ACTIONS)}, not {action!r}")


class Masking:
    """Used by one thread at a time for one body; `counts` of matches by rule are added by the caller."""

    def __init__(self, rules: Rules, data_dir: Path) -> None:
        self._rules = rules
        self._values = tuple(value for value in private.known_values())
        self._value_bytes = tuple(value.encode() for value in self._values)
        self._built_in = [(BUILT_IN[name], action) for name, action in rules.built_in.items()]
        self._exact = {key: action for key, action in rules.keys.items() if not key.endswith("*")}
        self._beginnings = tuple((key[:-1], action) for key, action in rules.keys.items() if key.endswith("*"))
        self._key_bytes = [key.rstrip("*").encode() for key in rules.keys]
        hashes = "hash" in (*rules.built_in.values(), *rules.keys.values(), *(rule.action for rule in rules.own))
        self._secret = private.kept_secret(data_dir / KEY_FILE) if hashes else b""

    def mask(self, signal: Signal, body: bytes, counts: Counter[str]) -> bytes:
        """The body without what the rules mask. One that cannot be parsed stays as it is: the door refuses it."""
        if not self.could_match(body):
            return body
        try:
            request: Message = signal.request.FromString(body)
        except DecodeError:
            return body
        before = counts.total()
        self._walk(request, counts)
        return request.SerializeToString() if counts.total() > before else body

    def could_match(self, body: bytes) -> bool:
        """Whether a body may hold what the rules mask."""
        if b"sl_" in body or any(value in body for value in self._value_bytes):
            return True
        if self._rules.own or any(key in body for key in self._key_bytes):
            return True
        return any(rule.may_match_in(body) for rule, _ in self._built_in)

    def _walk(self, message: Any, counts: Counter[str]) -> None:
        for field, held in message.ListFields():
            if field.type != FieldDescriptor.TYPE_MESSAGE:
                continue
            name = field.message_type.full_name
            if name == _KEY_VALUE:
                self._attributes(held, counts)
            elif name == _ANY_VALUE:
                for value in held if field.is_repeated else (held,):
                    self._value(value, counts)
            elif name == _MESSAGE_OF_STATUS:
                held.message = self._text(held.message, counts)
            else:
                for inner in held if field.is_repeated else (held,):
                    self._walk(inner, counts)

    def _attributes(self, attributes: Any, counts: Counter[str]) -> None:
        dropped = []
        for place, attribute in enumerate(attributes):
            action = self._of_key(attribute.key) if self._rules.keys else "off"
            if action == "drop":
                dropped.append(place)
            elif action == "hash":
                attribute.value.string_value = f"[key:{self._hash(attribute.value.SerializeToString())}]"
            else:
                self._value(attribute.value, counts)
                continue
            counts["key"] += 1
        for place in reversed(dropped):
            del attributes[place]

    def _of_key(self, key: str) -> Action:
        found = self._exact.get(key)
        if found is not None:
            return found
        return next((action for beginning, action in self._beginnings if key.startswith(beginning)), "off")

    def _value(self, value: Any, counts: Counter[str]) -> None:
        kind = value.WhichOneof("value")
        if kind == "string_value":
            text = value.string_value
            masked = self._text(text, counts)
            if masked != text:
                value.string_value = masked
        elif kind == "array_value":
            for inner in value.array_value.values:
                self._value(inner, counts)
        elif kind == "kvlist_value":
            self._attributes(value.kvlist_value.values, counts)

    def _text(self, text: str, counts: Counter[str]) -> str:
        """A text without what matches."""
        if "sl_" in text:
            text, found = _OWN_KEY.subn("[key]", text)
            if found:
                counts[_ALWAYS] += found
        for value in self._values:
            if value in text:
                counts[_ALWAYS] += text.count(value)
                text = text.replace(value, "[key]")
        for rule, action in self._built_in:
            if rule.may_match(text):
                text = rule.pattern.sub(lambda match, r=rule, a=action: self._instead(r, a, match, counts), text)  # type: ignore[misc]
        for own in self._rules.own:
            text = self._own(own, text, counts)
        return text

    def _instead(self, rule: Rule, action: Action, match: "re.Match[str]", counts: Counter[str]) -> str:
        if not rule.is_one(match[0]):
            return match[0]
        counts[rule.name] += 1
        return self._mask(rule.name, action, match[0])

    def _own(self, rule: OwnRule, text: str, counts: Counter[str]) -> str:
        try:
            masked, found = rule.pattern.subn(
                lambda match: self._mask(rule.name, rule.action, match[0]), text, timeout=PATTERN_S
            )
        except TimeoutError:
            counts[f"{rule.name}:timeout"] += 1
            return f"[{rule.name}]"
        if found:
            counts[rule.name] += found
        return str(masked)

    def _mask(self, name: str, action: Action, text: str) -> str:
        return f"[{name}:{self._hash(text.encode())}]" if action == "hash" else f"[{name}]"

    def _hash(self, data: bytes) -> str:
        return hmac.new(self._secret, data, hashlib.sha256).hexdigest()[:16]
