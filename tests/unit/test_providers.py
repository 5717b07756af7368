"""Which providers a caller's model name reaches."""

import asyncio

import pytest

from spanledger.pricing import load_book
from spanledger.workflows.litellm_model import LiteLLM
from spanledger.workflows.model import UnknownModel
from spanledger.workflows.providers import Providers


@pytest.mark.parametrize(
    ("provider", "environ"),
    [
        ("openai", {"OPENAI_API_KEY": "x"}),
        ("anthropic", {"ANTHROPIC_API_KEY": "x"}),
        ("gemini", {"GOOGLE_API_KEY": "x"}),
        ("ollama_chat", {"OLLAMA_API_BASE": "http://127.0.0.1:11434"}),
        ("bedrock", {"AWS_ACCESS_KEY_ID": "x"}),
        ("vertex_ai", {"GOOGLE_APPLICATION_CREDENTIALS": "x"}),
        ("hosted_vllm", {"HOSTED_VLLM_API_BASE": "x"}),
    ],
)
def test_what_the_environment_configures_is_allowed(provider: str, environ: dict[str, str]) -> None:
    assert Providers(environ=environ).allowed(provider)
    assert not Providers(environ={}).allowed(provider)
    assert not Providers(environ=dict.fromkeys(environ, "")).allowed(provider)
    assert Providers(named=f"x, {provider}", environ={}).allowed(provider)
    assert Providers(named="*", environ={}).allowed(provider)


def test_a_model_name_reaches_no_local_port_and_no_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OLLAMA_API_BASE", "LM_STUDIO_API_BASE", "XINFERENCE_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    model = LiteLLM(load_book())
    asyncio.run(model.ready())
    assert model.name("offline/small").provider == "offline"
    for name in (
        "lm_studio/x",
        "xinference/x",
        "llamafile/x",
        "docker_model_runner/x",
        "ollama/llama3",
        "openai/gpt-4o",
    ):
        with pytest.raises(UnknownModel, match="is not configured here"):
            model.name(name)
