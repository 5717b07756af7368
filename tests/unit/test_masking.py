"""Masking at the door: what each rule finds, what it leaves, and what a masked body says instead."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp_make import attributes, log_request, trace_request
from spanledger.errors import SettingsError
from spanledger.ingest.masking import BUILT_IN, Masking, rules_of
from spanledger.ingest.signals import SIGNALS

TEXTS = {
    "secrets": ("sk-abcdefghijklmnop1234", "AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1" * 18, "Bearer abcdefghijklmnop"),
    "email": ("ann.b+c@mail.example.org",),
    "phone": ("+49 151 1234567", "+1 (415) 555-2671", "415-555-2671"),
    "card": ("4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"),
    "iban": ("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"),
    "ip": ("192.168.10.77", "2001:db8::8a2e:370:7334"),
}
LEFT = {
    "secrets": ("sk-1", "task-force of the skunk works"),
    "email": ("user@host", "@decorator", "a @ b.c"),
    "phone": ("2026-11-29", "1234567890", "v1.2.3", "gpt-4o-2024-08-06"),
    "card": ("4111 1111 1111 1112", "1764380000000000000", "4111111111111111-1234"),
    "iban": ("DE89 3704 0044 0532 0130 01", "AB12CDEF"),
    "ip": ("999.1.1.1", "1.2.3", "10:20:30", "1.2.3.4.5"),
}


def masking(folder: Path, file: str = "", **built_in: str) -> Masking:
    return Masking(rules_of(built_in, file), folder)


def masked(rules: Masking, **values: Any) -> tuple[dict[str, Any], Counter[str]]:
    """The attributes of a span after the door, and what was counted."""
    body = trace_request({"attributes": values}).SerializeToString()
    counts: Counter[str] = Counter()
    request = ExportTraceServiceRequest.FromString(rules.mask(SIGNALS["traces"], body, counts))
    found = request.resource_spans[0].scope_spans[0].spans[0].attributes
    return {one.key: one.value.string_value or one.value.int_value for one in found}, counts


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("action", ["hash", "drop"])
def test_a_rule_masks_what_it_is_for_and_leaves_what_looks_alike(tmp_path: Path, name: str, action: str) -> None:
    rules = masking(tmp_path, **{name: action})
    for text in TEXTS[name]:
        found, counts = masked(rules, note=f"say {text} twice")
        assert text not in found["note"]
        assert found["note"].startswith(f"say [{name}{':' if action == 'hash' else ']'}")
        assert found["note"].endswith(" twice")
        assert counts == {name: 1}
    for text in LEFT[name]:
        assert masked(rules, note=f"say {text} twice") == ({"note": f"say {text} twice"}, {})


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_rule_that_is_off_does_nothing(tmp_path: Path, name: str) -> None:
    assert masked(masking(tmp_path, **{name: "off"}), note=TEXTS[name][0]) == ({"note": TEXTS[name][0]}, {})


def test_equal_texts_have_equal_hashes_and_every_process_has_the_same_key(tmp_path: Path) -> None:
    first, _ = masked(masking(tmp_path, email="hash"), a="ann@x.org", b="ann@x.org", c="bob@x.org")
    again, _ = masked(masking(tmp_path, email="hash"), a="ann@x.org")
    assert first["a"] == first["b"] == again["a"] != first["c"]


def test_our_keys_and_secrets_of_the_environment_are_dropped_without_any_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", "a-provider-key-nobody-knows")
    ours = "sl_gntcns4rzubf_jpYGiUVRnh4oYy_NEyWfAg5kWVlo9vuWibKLhCQAPe0"
    found, counts = masked(masking(tmp_path), note=f"{ours} and a-provider-key-nobody-knows", tokens=12)
    assert found == {"note": "[key] and [key]", "tokens": 12}
    assert counts == {"known_keys": 2}


def test_own_rules_name_attribute_keys_and_patterns(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        "keys: {customer.name: drop, http.request.header.*: hash}\n"
        "patterns: [{name: ticket, pattern: 'TCK-[0-9]+', action: drop}]\n"
    )
    told = {"customer.name": "Ann", "http.request.header.cookie": "a=b", "note": "TCK-77 is open", "gen_ai.system": "x"}
    found, counts = masked(masking(tmp_path, str(file)), **told)
    assert found.pop("http.request.header.cookie").startswith("[key:")
    assert found == {"note": "[ticket] is open", "gen_ai.system": "x"}
    assert counts == {"key": 2, "ticket": 1}


def test_a_pattern_that_takes_too_long_drops_the_text(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("patterns: [{name: slow, pattern: '(a|aa|b|bb)+(a|b|aa|bb)+$', action: drop}]\n")
    rules, started = masking(tmp_path, str(file)), time.thread_time()
    found, counts = masked(rules, note="ab" * 5000 + "!")
    assert found == {"note": "[slow]"}
    assert counts == {"slow:timeout": 1}
    assert time.thread_time() - started < 5


@pytest.mark.parametrize("text", ["patterns: [{name: x, pattern: '('}]", "keys: {a: shred}", "patterns: 3", ": : :"])
def test_rules_that_cannot_be_used_are_refused_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(SettingsError):
        rules_of({}, str(tmp_path / "rules.yaml"))
    with pytest.raises(SettingsError):
        rules_of({"email": "shred"}, "")


def test_nested_values_events_statuses_and_logs_are_masked(tmp_path: Path) -> None:
    rules, counts = masking(tmp_path, email="drop"), Counter[str]()
    request = trace_request({"attributes": {"list": ["ann@x.org", {"deep": "bob@x.org"}]}})
    span = request.resource_spans[0].scope_spans[0].spans[0]
    attributes(span.events.add(name="e").attributes, {"m": "carl@x.org"})
    span.status.message = "no dora@x.org"
    body = rules.mask(SIGNALS["traces"], request.SerializeToString(), counts)
    log = rules.mask(SIGNALS["logs"], log_request("emil@x.org", b"1" * 16).SerializeToString(), counts)
    assert b"@x.org" not in body
    assert b"@x.org" not in log
    assert counts == {"email": 5}


def test_a_body_in_which_nothing_can_match_is_not_touched(tmp_path: Path) -> None:
    rules = masking(tmp_path, **dict.fromkeys(BUILT_IN, "drop"))
    body = trace_request({"attributes": {"gen_ai.usage.input_tokens": 5, "note": "plain"}}).SerializeToString()
    assert rules.mask(SIGNALS["traces"], body, Counter()) is body
