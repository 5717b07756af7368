"""Who needs a key on loopback, before the first key is made."""

from pathlib import Path

from guarded import spanledger
from system import WITHOUT_CHAT, System


def test_on_loopback_without_keys_nobody_needs_one(tmp_path: Path) -> None:
    """A system of its own: the first key that others make ends this for good."""
    alone = System(tmp_path / "data", roles=WITHOUT_CHAT).start()
    try:
        assert alone.request("GET", "/v1/usage")[0] == 200
        assert alone.request("GET", "/v1/usage", Authorization="Bearer whatever a client must send")[0] == 200
        forged = "Bearer sl_aaaaaaaaaaaa_" + "A" * 43
        assert alone.request("GET", "/v1/usage", Authorization=forged)[0] == 401
    finally:
        alone.stop()


def test_loopback_can_be_made_to_need_keys(tmp_path: Path) -> None:
    done = spanledger("up", "--require-keys", "--data-dir", tmp_path / "data")
    assert done.returncode == 2
    assert "there are no keys" in done.stderr
    assert not (tmp_path / "data").exists()
