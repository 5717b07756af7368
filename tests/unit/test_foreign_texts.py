"""Foreign text in terminals, spreadsheets and logs."""

import io
import logging

import pytest

from spanledger.cli.main import main
from spanledger.foreign.texts import Terminal, harmless, harmless_csv, printable
from spanledger.private import scrub, scrub_logs

KEY = "sl_gntcns4rzubf_jpYGiUVRnh4oYy_NEyWfAg5kWVlo9vuWibKLhCQAPe0"
SECRET = KEY.rpartition("_")[2]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),
        ("a\rb", "a\\x0db"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp", "\\u202egnp"),
        ("\x1b[1mbold\x1b[0m", "\x1b[1mbold\x1b[0m"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Zürich 汉字 😀", "Zürich 汉字 😀"),
    ],
)
def test_control_characters_are_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    below = io.StringIO()
    print(text, end="", file=Terminal(below))  # type: ignore[arg-type]
    assert below.getvalue() == shown


def test_the_command_writes_no_codes_that_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["\x1b]0;owned\x07"])
    said = capsys.readouterr()
    assert "\x1b" not in said.err + said.out
    assert "owned" in said.err


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1-1", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_formulas_become_text(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert harmless_csv(f'"a","{text}"\n"{text}",3\n'.encode()) == f'"a","\'{text}"\n"\'{text}",3\n'.encode()


def test_numbers_and_usual_texts_stay(tmp_path: object) -> None:
    assert harmless(-1) == -1
    assert harmless("-0.25") == "-0.25"
    plain = b'"name","n"\n"a, ""=b""",-5\n"x"",""=y",+1\n"line\n""=1"",",2\n'
    assert harmless_csv(plain) == plain


def test_no_log_shows_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-provider-key-of-some-length")
    scrub_logs()
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    log = logging.getLogger("test.secrets")
    log.addHandler(handler)
    try:
        log.warning("bad header %s", f"Authorization: Bearer {KEY}")
        log.warning("with key %r and op_%s", {"x-api-key": KEY}, "x" * 43)
        log.warning("a-provider-key-of-some-length was refused, and so was sk-%s", "b" * 40)
        try:
            raise ValueError(f"cannot read {KEY}")
        except ValueError:
            log.exception("it failed")
    finally:
        log.removeHandler(handler)
    said = out.getvalue()
    assert "sl_gntcns4rzubf_***" in said  # whose key it was can be seen
    for secret in (SECRET, "x" * 43, "a-provider-key", "b" * 40):
        assert secret not in said
    assert "ValueError: cannot read" in said


@pytest.mark.parametrize("text", ["desk-top-computer-with-many-letters", "op_amp", "Bearer of news", "sl_short"])
def test_usual_words_stay(text: str) -> None:
    assert scrub(text) == text
