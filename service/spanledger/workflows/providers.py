"""Which model providers may be called: those that the operator configured.

LiteLLM supports a hundred more. Some are fixed ports of this machine or sign in with files of the user's home
folder: a caller who chooses a model's name must not reach those.
"""

import os
from collections.abc import Mapping

OFFLINE = "offline"
_ENDINGS = ("_API_KEY", "_API_BASE", "_BASE_URL", "_API_TOKEN", "_ACCESS_KEY_ID", "_PROJECT", "_CREDENTIALS", "_TOKEN")
# Where the environment names a provider differently than LiteLLM does.
_PREFIXES = {
    "vertex_ai": ("VERTEXAI", "VERTEX", "GOOGLE_APPLICATION"),
    "gemini": ("GEMINI", "GOOGLE"),
    "bedrock": ("AWS",),
    "bedrock_converse": ("AWS",),
    "sagemaker": ("AWS",),
    "azure_ai": ("AZURE_AI",),
    "huggingface": ("HUGGINGFACE", "HF"),
    "text-completion-openai": ("OPENAI",),
    "ollama_chat": ("OLLAMA",),
    "together_ai": ("TOGETHERAI", "TOGETHER_AI"),
    "fireworks_ai": ("FIREWORKS", "FIREWORKS_AI"),
    "watsonx": ("WATSONX", "WX"),
}


_COMMON = frozenset(
    {*_PREFIXES, "openai", "anthropic", "azure", "mistral", "cohere", "groq", "deepseek", "openrouter", "xai", "ollama"}
)


class Providers:
    """`named`: allowed beside the configured ones, with commas; `*` allows all."""

    def __init__(self, named: str = "", environ: Mapping[str, str] = os.environ) -> None:
        self._named = {name.strip().lower() for name in named.split(",") if name.strip()}
        self._environ = environ

    def allowed(self, provider: str) -> bool:
        """Whether a provider, by LiteLLM's name, may be called."""
        name = provider.lower()
        if name == OFFLINE or name in self._named or "*" in self._named:
            return True
        prefixes = _PREFIXES.get(name, (name.upper().replace("-", "_"),))
        return any(
            value and key.startswith(f"{prefix}_") and key.endswith(_ENDINGS)
            for key, value in self._environ.items()
            for prefix in prefixes
        )

    def known(self, provider: str) -> bool:
        """Whether a provider, by LiteLLM's name, is one that is known here without LiteLLM."""
        return provider.lower() in _COMMON or self.allowed(provider)

    def refusal(self, provider: str) -> str:
        """The error message for the caller."""
        variable = _PREFIXES.get(provider, (provider.upper().replace("-", "_"),))[0]
        return (
            f"provider {provider!r} is not configured here; the operator sets its key ({variable}_API_KEY) or names "
            "it in SPANLEDGER_MODEL_PROVIDERS. Models named offline/… need no key; `GET /v1/models` lists what works"
        )
